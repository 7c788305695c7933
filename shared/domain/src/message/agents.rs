//! User agents of programs that open mails and follow links without anybody asking them to.

/// Whether a mail provider or program fetches a picture under this name before, or whether or not, anybody reads the
/// message. GoogleImageProxy and YahooMailProxy are not among them: they fetch when somebody opens it.
pub(super) fn fetches_in_advance(agent: &str) -> bool {
    // Apple's Mail Privacy Protection, which calls itself no more than this. (ua-parser/uap-core issue 509; Mailgun,
    // "Bot detection".)
    let is_apple = agent == "Mozilla/5.0";
    // Gmail while its page or app is open; when the message is read, GoogleImageProxy comes as well. (SparkPost, "Gmail
    // is prefetching images"; mautic pull request 10245.)
    let is_gmail = agent.contains(" Edge/12.246 Mozilla/5.0");
    is_apple || is_gmail
}

/// Whether it is a program that nobody reads with. Scanners that want to look like browsers do; these are the others.
pub(super) fn is_program(agent: &str) -> bool {
    let agent = agent.to_ascii_lowercase();
    let says = |word: &&str| agent.contains(*word);
    SCANNERS.iter().any(says) || PROGRAMS.iter().any(says) || is_bot(&agent)
}

/// Words in the names of mail gateways and of services that look at links for them. Each product names itself.
const SCANNERS: [&str; 12] = [
    "barracuda",
    "cloudmark",
    "fireeye",
    "fortinet",
    "ironport",
    "mimecast",
    "proofpoint",
    "safebrowsing",
    "safelinks",
    "sophos",
    "symantec",
    "trendmicro",
];

/// Programs and libraries that fetch for other programs, by what they call themselves unless told otherwise.
const PROGRAMS: [&str; 19] = [
    "aiohttp",
    "apache-httpclient",
    "axios/",
    "bingpreview",
    "curl/",
    "facebookexternalhit",
    "go-http-client",
    "headlesschrome",
    "httpx",
    "java/",
    "libwww-perl",
    "node-fetch",
    "phantomjs",
    "python-requests",
    "python-urllib",
    "skypeuripreview",
    "whatsapp/",
    "wget/",
    "slackbot",
];

/// Whether one of its words is, or ends in, what crawlers call themselves: `bot`, `crawler`, `spider`, `scanner`.
fn is_bot(agent: &str) -> bool {
    let words = agent.split(|c: char| !c.is_ascii_alphabetic());
    words.into_iter().any(|word| {
        // A phone of that make, not a crawler.
        word != "cubot" && ["bot", "crawler", "spider", "scanner"].iter().any(|kind| word.ends_with(kind))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_s_programs_and_the_proxies_that_fetch_for_them_are_people() {
        for agent in [
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
            "Mozilla/5.0 (Windows NT 10.0; WOW64; rv:52.0) Gecko/20100101 Thunderbird/52.9.1 Lightning/5.4.9.1",
            "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook 16.0.5044)",
            "Mozilla/5.0 (Linux; Android 13; CUBOT X70) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/146.0 Mobile Safari/537.36 MicroMessenger/8.0",
        ] {
            assert!(!is_program(agent) && !fetches_in_advance(agent), "{agent}");
        }
    }

    #[test]
    fn what_fetches_in_advance_is_known() {
        let gmail = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                     Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0";
        assert!(fetches_in_advance(gmail) && fetches_in_advance("Mozilla/5.0"));
        let edge = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 \
                    Safari/537.36 Edge/12.246";
        assert!(!fetches_in_advance(edge));
    }

    #[test]
    fn scanners_and_libraries_are_known_by_their_names() {
        for agent in [
            "Mozilla/5.0 (compatible; LinkScanner)",
            "BarracudaCentral",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0 Safari/537.36",
            "curl/8.5.0",
            "python-requests/2.32",
            "Go-http-client/2.0",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "facebookexternalhit/1.1",
        ] {
            assert!(is_program(agent), "{agent}");
        }
    }
}
