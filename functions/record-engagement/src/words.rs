//! What the pages say, in each language they are written in.

use sluice_domain::identity::Language;
use sluice_wire::http::HttpRequest;

/// The words of one language; `{topic}` is the topic's title.
#[derive(Debug)]
pub(crate) struct Words {
    /// The language's code.
    pub(crate) code: &'static str,
    pub(crate) preferences: &'static str,
    pub(crate) choose: &'static str,
    pub(crate) save: &'static str,
    pub(crate) nothing: &'static str,
    pub(crate) saved: &'static str,
    pub(crate) stopped: &'static str,
    pub(crate) stopped_all: &'static str,
    pub(crate) service_note: &'static str,
    pub(crate) no_topics: &'static str,
    pub(crate) suppressed: &'static str,
    pub(crate) confirm: &'static str,
    pub(crate) confirm_question: &'static str,
    pub(crate) confirm_button: &'static str,
    pub(crate) confirmed: &'static str,
    pub(crate) refused_since: &'static str,
    pub(crate) trial: &'static str,
    pub(crate) no_link: &'static str,
    pub(crate) no_link_text: &'static str,
    pub(crate) unreadable: &'static str,
    pub(crate) unreadable_text: &'static str,
    pub(crate) unavailable: &'static str,
    pub(crate) unavailable_text: &'static str,
}

impl Words {
    /// The first of the languages that the pages are written in; English if none is.
    pub(crate) fn of(languages: impl IntoIterator<Item = Language>) -> &'static Self {
        let written = |language: Language| ALL.into_iter().find(|words| words.code == language.code());
        languages.into_iter().find_map(written).unwrap_or(&ENGLISH)
    }
}

/// What a browser asks for, the preferred one first.
pub(crate) fn accepted(request: &HttpRequest) -> Vec<Language> {
    request.header("accept-language").map(Language::accepted).unwrap_or_default()
}

const ALL: [&Words; 3] = [&ENGLISH, &GERMAN, &CHINESE];

static ENGLISH: Words = Words {
    code: "en",
    preferences: "What you get from us",
    choose: "Send me messages about:",
    save: "Save",
    nothing: "No more messages at all",
    saved: "Saved. This is what you get from now on.",
    stopped: "Done: you get no more messages about “{topic}”.",
    stopped_all: "Done: you get no more messages from us, except answers to what you ask for yourself.",
    service_note: "What you ask for yourself, such as a receipt or an answer, reaches you in any case.",
    no_topics: "There is nothing to choose here at present.",
    suppressed: "At present nothing is sent to this address, whatever is ticked here. If you want that changed, please \
                 write to us.",
    confirm: "Please confirm",
    confirm_question: "Do you want messages about “{topic}”? You can stop them at any time.",
    confirm_button: "Yes, I want them",
    confirmed: "Thank you: you get messages about “{topic}”.",
    refused_since: "You have said since that you want no messages about “{topic}”, and so it stays.",
    trial: "This message was a test: whatever you choose here changes nothing for anybody.",
    no_link: "This link does not work",
    no_link_text: "It may have been cut on its way, or what it led to is gone. Please open it from the message once more.",
    unreadable: "That did not arrive",
    unreadable_text: "Nothing was changed. Please open the link from the message once more.",
    unavailable: "Just a moment",
    unavailable_text: "We could not do that just now, and nothing was changed. Please try again in a few seconds.",
};

static GERMAN: Words = Words {
    code: "de",
    preferences: "Was Sie von uns bekommen",
    choose: "Schicken Sie mir Nachrichten zu:",
    save: "Speichern",
    nothing: "Gar keine Nachrichten mehr",
    saved: "Gespeichert. Das bekommen Sie von jetzt an.",
    stopped: "Erledigt: Zu „{topic}“ bekommen Sie keine Nachrichten mehr.",
    stopped_all: "Erledigt: Sie bekommen keine Nachrichten mehr von uns, außer Antworten auf das, worum Sie selbst bitten.",
    service_note: "Worum Sie selbst bitten, etwa eine Quittung oder eine Antwort, erreicht Sie in jedem Fall.",
    no_topics: "Hier gibt es zurzeit nichts auszuwählen.",
    suppressed: "Zurzeit wird an diese Adresse nichts gesendet, was auch immer hier angekreuzt ist. Wenn sich das ändern \
                 soll, schreiben Sie uns bitte.",
    confirm: "Bitte bestätigen Sie",
    confirm_question: "Möchten Sie Nachrichten zu „{topic}“? Sie können sie jederzeit abbestellen.",
    confirm_button: "Ja, ich möchte sie",
    confirmed: "Danke: Sie bekommen Nachrichten zu „{topic}“.",
    refused_since: "Sie haben seitdem gesagt, dass Sie zu „{topic}“ keine Nachrichten möchten, und dabei bleibt es.",
    trial: "Diese Nachricht war ein Test: Was hier gewählt wird, ändert nichts, für niemanden.",
    no_link: "Dieser Link funktioniert nicht",
    no_link_text: "Vielleicht wurde er unterwegs gekürzt, oder es gibt nicht mehr, wohin er führte. Bitte öffnen Sie ihn \
                   noch einmal aus der Nachricht.",
    unreadable: "Das ist nicht angekommen",
    unreadable_text: "Es wurde nichts geändert. Bitte öffnen Sie den Link noch einmal aus der Nachricht.",
    unavailable: "Einen Moment bitte",
    unavailable_text: "Das ging gerade nicht, und es wurde nichts geändert. Bitte versuchen Sie es in ein paar Sekunden noch \
                       einmal.",
};

static CHINESE: Words = Words {
    code: "zh",
    preferences: "您的消息设置",
    choose: "请向我发送以下内容的消息：",
    save: "保存",
    nothing: "不再接收任何消息",
    saved: "已保存。从现在起，您将收到以下内容。",
    stopped: "已完成：您将不再收到“{topic}”的消息。",
    stopped_all: "已完成：除您主动要求的回复外，您将不再收到我们的消息。",
    service_note: "您主动要求的内容（例如收据或答复）仍会发送给您。",
    no_topics: "目前没有可以选择的内容。",
    suppressed: "无论此处如何选择，目前都不会向该地址发送消息。如需恢复，请与我们联系。",
    confirm: "请确认",
    confirm_question: "您想接收“{topic}”的消息吗？您可以随时退订。",
    confirm_button: "是的，我想接收",
    confirmed: "谢谢：您将收到“{topic}”的消息。",
    refused_since: "此后您已表示不想接收“{topic}”的消息，因此保持不变。",
    trial: "这是一条测试消息：在此所做的选择不会为任何人更改任何内容。",
    no_link: "此链接无效",
    no_link_text: "链接可能在传送途中被截断，或其指向的内容已不存在。请从消息中重新打开。",
    unreadable: "未能收到您的提交",
    unreadable_text: "没有做任何更改。请从消息中重新打开链接。",
    unavailable: "请稍候",
    unavailable_text: "暂时无法完成操作，没有做任何更改。请几秒钟后重试。",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_that_there_are_words_in_is_taken() {
        let of =
            |languages: &[&str]| Words::of(languages.iter().filter_map(|text| Language::parse(text))).code;
        assert_eq!(of(&["de"]), "de");
        assert_eq!(of(&["fr", "zh-Hans-CN", "de"]), "zh");
        assert_eq!(of(&["fr"]), "en");
        assert_eq!(of(&[]), "en");
    }

    #[test]
    fn a_browsers_second_language_is_better_than_one_it_did_not_ask_for() {
        let of = |header: &str| Words::of(Language::accepted(header)).code;
        assert_eq!(of("fr-FR,fr;q=0.9,de;q=0.8"), "de");
        assert_eq!(of("fr-FR,fr;q=0.9,en;q=0.3,zh-CN;q=0.8"), "zh");
        assert_eq!(of("fr, it;q=0.5, de;q=0"), "en");
    }

    #[test]
    fn every_sentence_about_a_topic_names_it_in_every_language() {
        for words in ALL {
            for sentence in [words.stopped, words.confirm_question, words.confirmed, words.refused_since] {
                assert!(sentence.contains("{topic}"), "{sentence}");
            }
        }
    }
}
