//! Pages for people: plain HTML that needs no script, reads well aloud and on a phone, and takes nothing from elsewhere.

use crate::words::Words;
use sluice_wire::http::HttpResponse;
use std::fmt::Write;

/// Nothing is loaded and nothing runs; forms post to us.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;margin:0;color:#1a1a1a;background:#f4f4f2}\
main{max-width:36rem;margin:2rem auto;padding:1.5rem 2rem;background:#fff;border-radius:.5rem}\
h1{font-size:1.5rem}fieldset{border:0;padding:0;margin:1rem 0}legend{font-weight:600;padding:0}\
.topic{margin:.75rem 0}.topic p{margin:0 0 0 1.75rem;color:#555}\
input[type=checkbox]{width:1.1rem;height:1.1rem;margin:0 .5rem 0 0;vertical-align:-.15rem}\
button{font:inherit;padding:.6rem 1.2rem;margin:.5rem .75rem .5rem 0;border-radius:.3rem;border:1px solid #1a1a1a;\
background:#1a1a1a;color:#fff;cursor:pointer}button.plain{background:#fff;color:#1a1a1a}\
button:focus,input:focus{outline:3px solid #2a6fdb;outline-offset:2px}\
.done{padding:.75rem 1rem;background:#e7f3e8;border-radius:.3rem}.from{color:#555;margin:0}";

/// A topic with its box.
pub(crate) struct Tick<'a> {
    pub(crate) name: &'a str,
    pub(crate) title: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) is_ticked: bool,
}

/// A page as it is put together.
pub(crate) struct Page {
    words: &'static Words,
    title: &'static str,
    company: String,
    done: String,
    content: String,
}

impl Page {
    pub(crate) fn new(words: &'static Words, title: &'static str) -> Self {
        Self { words, title, company: String::new(), done: String::new(), content: String::new() }
    }

    /// With the name of whose page it is.
    pub(crate) fn of(mut self, company: Option<&str>) -> Self {
        if let Some(company) = company {
            self.company = format!("<p class=\"from\">{}</p>", escape(company));
        }
        self
    }

    /// Of a message that went to somebody who tests: it says so before anything else, also to whoever pressed a button.
    pub(crate) fn trial(self, is_trial: bool) -> Self {
        let text = self.words.trial;
        if is_trial { self.done(text) } else { self }
    }

    /// With what was done, read out first.
    pub(crate) fn done(mut self, text: &str) -> Self {
        self.done = format!("<p class=\"done\" role=\"status\">{}</p>", escape(text));
        self
    }

    pub(crate) fn paragraph(mut self, text: &str) -> Self {
        // Writing to a string cannot fail.
        let _ = write!(self.content, "<p>{}</p>", escape(text));
        self
    }

    /// With a form that is one button.
    pub(crate) fn button(mut self, name: &str, label: &str) -> Self {
        let (name, label) = (escape(name), escape(label));
        let button = format!("<button name=\"{name}\" value=\"yes\">{label}</button>");
        let _ = write!(self.content, "<form method=\"post\">{button}</form>");
        self
    }

    /// With a form of boxes; the fields are named by whoever reads them.
    pub(crate) fn topics(mut self, ticks: &[Tick<'_>], shown: &str, ticked: &str, nothing: &str) -> Self {
        let mut boxes = String::new();
        for (n, tick) in ticks.iter().enumerate() {
            let (name, title) = (escape(tick.name), escape(tick.title));
            let checked = if tick.is_ticked { " checked" } else { "" };
            let description = tick.description.map(escape);
            let described =
                description.as_ref().map(|_| format!(" aria-describedby=\"d{n}\"")).unwrap_or_default();
            let description =
                description.map(|text| format!("<p id=\"d{n}\">{text}</p>")).unwrap_or_default();
            let _ = write!(
                boxes,
                "<div class=\"topic\"><input type=\"hidden\" name=\"{shown}\" value=\"{name}\">\
                 <input type=\"checkbox\" id=\"t{n}\" name=\"{ticked}\" value=\"{name}\"{checked}{described}>\
                 <label for=\"t{n}\">{title}</label>{description}</div>"
            );
        }
        let Words { choose, save, nothing: nothing_label, .. } = self.words;
        let _ = write!(
            self.content,
            "<form method=\"post\"><fieldset><legend>{}</legend>{boxes}</fieldset>\
             <button name=\"save\" value=\"yes\">{}</button>\
             <button name=\"{nothing}\" value=\"yes\" class=\"plain\">{}</button></form>",
            escape(choose),
            escape(save),
            escape(nothing_label),
        );
        self
    }

    pub(crate) fn response(&self, status: u16) -> HttpResponse {
        let Self { words, title, company, done, content } = self;
        let (code, title) = (words.code, escape(title));
        let html = format!(
            "<!doctype html>\n<html lang=\"{code}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
             <style>{STYLE}</style></head>\n<body><main>{company}<h1>{title}</h1>{done}{content}</main></body></html>\n"
        );
        HttpResponse::empty(status)
            .with_body("text/html; charset=utf-8", html)
            .with_header("content-language", code)
            .with_header("cache-control", "no-store, max-age=0")
            .with_header("content-security-policy", POLICY)
            .with_header("referrer-policy", "no-referrer")
            .with_header("x-content-type-options", "nosniff")
            .with_header("x-robots-tag", "noindex")
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    // Writing to a string cannot fail.
    let _ = sluice_domain::template::escape(text, &mut escaped);
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_documents_say_is_text_and_every_box_has_its_label() {
        let words = Words::of([]);
        let tick = Tick {
            name: "product",
            title: "<b>News</b> & \"more\"",
            description: Some("<script>x</script>"),
            is_ticked: true,
        };
        let answer = Page::new(words, words.preferences)
            .of(Some("A<B"))
            .done("saved <now>")
            .topics(&[tick], "shown", "topic", "nothing")
            .response(200);
        let html = String::from_utf8(answer.body.to_vec()).unwrap();
        for text in ["<b>", "<script>", "A<B", "<now>"] {
            assert!(!html.contains(text), "{html}");
        }
        assert!(
            html.contains("id=\"t0\" name=\"topic\" value=\"product\" checked aria-describedby=\"d0\""),
            "{html}"
        );
        assert!(html.contains("<label for=\"t0\">&lt;b&gt;News"), "{html}");
        assert!(html.contains("role=\"status\"") && html.starts_with("<!doctype html>\n<html lang=\"en\">"));
        assert!(answer.headers.iter().all(|(name, _)| name != "set-cookie"));
    }
}
