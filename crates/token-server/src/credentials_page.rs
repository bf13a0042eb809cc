//! The built-in page on which a member sets a password by a link.
//!
//! It is one answer: no script, nothing from anywhere, and a style that the policy allows by its hash. It says nothing of
//! the member or the tenant; whoever finds a link learns no more than that it is one.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, PRAGMA, REFERRER_POLICY, RETRY_AFTER,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor_domain::password::PasswordError;
use grantor_domain::settings::PasswordMinLength;
use ring::digest::{SHA256, digest};
use thiserror::Error;

/// The style, exactly as it stands between `<style>` and `</style>`.
const STYLE: &str = include_str!("credentials.css");

/// A token that may stand in a page: of letters that mean nothing in HTML.
#[derive(Clone, Copy)]
pub struct PlainToken<'a>(&'a str);

impl<'a> PlainToken<'a> {
    /// The longest that is looked at; a token has 118 characters.
    const LONGEST: usize = 160;

    /// Takes what could be a token at all.
    pub fn parse(text: &'a str) -> Option<Self> {
        let is_plain = text.len() <= Self::LONGEST
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        (is_plain && !text.is_empty()).then_some(Self(text))
    }

    /// The token.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// What is wrong with what was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Mistake {
    /// One of the two is missing.
    #[error("Type the new password in both fields.")]
    Missing,
    /// The two are not the same.
    #[error("The two passwords are not the same. Type the new password again in both fields.")]
    Different,
    /// The password is refused.
    #[error("The password {0}.")]
    Weak(PasswordError),
    /// Nothing is: we can't take it now.
    #[error("The service can't take the password now. Type it again in a moment.")]
    Busy,
}

/// The page, in each of its states.
#[derive(Clone, Copy)]
pub enum Page<'a> {
    /// The form.
    Form {
        /// By which the password is set.
        token: PlainToken<'a>,
        /// What the page asks of the password.
        least: Option<PasswordMinLength>,
        /// What was wrong the time before.
        mistake: Option<Mistake>,
    },
    /// The password is set.
    Done,
    /// The link is good for nothing, for whatever reason.
    NotGood,
    /// What was sent is not what the form sends.
    Unreadable,
    /// What was sent is larger than the form.
    TooLarge,
    /// Another site sent it.
    CrossSite,
    /// We can't look now.
    Unavailable,
    /// Something of ours failed.
    Failed,
}

impl Page<'_> {
    fn status(self) -> StatusCode {
        match self {
            Self::Form { mistake: None, .. } | Self::Done => StatusCode::OK,
            Self::Form {
                mistake: Some(Mistake::Busy),
                ..
            }
            | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Form { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotGood => StatusCode::GONE,
            Self::Unreadable => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer, which is stored nowhere on its way and tells no other site where it stood.
    pub fn answer(self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status());
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            answer.insert_header((RETRY_AFTER, "1"));
        }
        answer
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((PRAGMA, "no-cache"))
            .insert_header((CONTENT_SECURITY_POLICY, content_security_policy()))
            .insert_header((REFERRER_POLICY, "no-referrer"))
            .content_type("text/html; charset=utf-8")
            .body(self.html())
    }

    fn html(self) -> String {
        let title = self.title();
        let main = match self {
            Self::Form {
                token,
                least,
                mistake,
            } => form(token, least, mistake),
            other => format!("<p>{}</p>\n", other.sentence()),
        };
        // A screen reader and a list of tabs begin with the title, so that is where a mistake is told first.
        let before = match self {
            Self::Form {
                mistake: Some(_), ..
            } => "Not yet: ",
            _ => "",
        };
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"robots\" content=\"noindex\">\n\
             <title>{before}{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>{title}</h1>\n{main}</main>\n</body>\n</html>\n"
        )
    }

    fn title(self) -> &'static str {
        match self {
            Self::Form { .. } => "Set your password",
            Self::Done => "Your password is set",
            Self::NotGood => "This link doesn’t work any more",
            Self::Unreadable | Self::TooLarge | Self::CrossSite => "Nothing was changed",
            Self::Unavailable => "Try again in a moment",
            Self::Failed => "Something of ours failed",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Form { .. } => "",
            Self::Done => "Use it from now on. You can close this page.",
            Self::NotGood => {
                "A link works once, for a limited time, and until there is a newer one. Ask whoever sent it for another."
            }
            Self::Unreadable | Self::TooLarge => {
                "What was sent can’t be read as this page’s form. Open your link again, and set the password there."
            }
            Self::CrossSite => {
                "Another site sent this. Open your link again, and set the password there."
            }
            Self::Unavailable => {
                "The service can’t answer now. Your link is as good as before: open it again in a moment."
            }
            Self::Failed => {
                "Your link may be as good as before: open it again, and report it if this stays."
            }
        }
    }
}

fn form(
    token: PlainToken<'_>,
    least: Option<PasswordMinLength>,
    mistake: Option<Mistake>,
) -> String {
    let (told, invalid) = match mistake {
        Some(mistake) => (
            format!("<p class=\"mistake\" id=\"mistake\" role=\"alert\">{mistake}</p>\n"),
            " aria-invalid=\"true\"",
        ),
        None => (String::new(), ""),
    };
    let described = if mistake.is_some() {
        "mistake rule"
    } else {
        "rule"
    };
    let length = least.map_or_else(String::new, |least| {
        format!("At least {} characters. ", least.get())
    });
    let field = |name: &str, label: &str, focus: &str| {
        format!(
            "<label for=\"{name}\">{label}</label>\n<input id=\"{name}\" name=\"{name}\" type=\"password\" \
             autocomplete=\"new-password\" required aria-describedby=\"{described}\"{invalid}{focus}>\n"
        )
    };
    // Relative, so that it leads to where the page came from whatever stands before the server; and without the token,
    // which the form carries.
    format!(
        "{told}<p class=\"rule\" id=\"rule\">{length}A few words that don’t belong together make a good one.</p>\n\
         <form method=\"post\" action=\"credentials\">\n\
         <input type=\"hidden\" name=\"token\" value=\"{}\">\n{}{}\
         <button type=\"submit\">Set the password</button>\n</form>\n",
        token.as_str(),
        field("password", "New password", " autofocus"),
        field("password_again", "The same again", ""),
    )
}

/// What a browser may do with the page: use its style, and post its form back to where it came from.
fn content_security_policy() -> String {
    let hash = digest(&SHA256, STYLE.as_bytes());
    format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        STANDARD.encode(hash.as_ref())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> PlainToken<'static> {
        PlainToken::parse("glk_0aZ").unwrap()
    }

    fn all() -> Vec<Page<'static>> {
        let form = |mistake| Page::Form {
            token: token(),
            least: Some(PasswordMinLength::DEFAULT),
            mistake,
        };
        vec![
            form(None),
            form(Some(Mistake::Missing)),
            form(Some(Mistake::Different)),
            form(Some(Mistake::Weak(PasswordError::TooUniform))),
            form(Some(Mistake::Busy)),
            Page::Done,
            Page::NotGood,
            Page::Unreadable,
            Page::TooLarge,
            Page::CrossSite,
            Page::Unavailable,
            Page::Failed,
        ]
    }

    #[test]
    fn no_page_has_a_script_or_asks_for_anything() {
        for page in all() {
            let html = page.html();
            for bad in [
                "<script",
                "javascript:",
                "http://",
                "https://",
                "src=",
                "href=",
                "url(",
                "@import",
                " on",
            ] {
                let tags: String = html
                    .split('<')
                    .filter_map(|part| part.split_once('>'))
                    .map(|(tag, _)| tag)
                    .collect();
                let place = if bad == " on" { &tags } else { &html };
                assert!(!place.contains(bad), "{bad} in {html}");
            }
            assert_eq!(html.matches("<h1>").count(), 1);
            assert!(html.contains("<html lang=\"en\">"));
        }
    }

    #[test]
    fn every_page_is_stored_nowhere_and_framed_by_nobody() {
        for page in all() {
            let answer = page.answer();
            let header = |name: &str| answer.headers().get(name).unwrap().to_str().unwrap();
            assert_eq!(header("cache-control"), "no-store");
            assert_eq!(header("referrer-policy"), "no-referrer");
            let policy = header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
            assert!(policy.ends_with("form-action 'self'; frame-ancestors 'none'"));
            assert!(!policy.contains("unsafe"));
            let retry = answer.headers().get("retry-after").is_some();
            assert_eq!(retry, answer.status() == 503);
        }
    }

    #[test]
    fn a_browser_reads_the_style_as_it_was_hashed() {
        assert!(!STYLE.contains(['<', '\r', '\0']));
    }

    #[test]
    fn only_letters_that_mean_nothing_in_html_get_into_it() {
        for bad in [
            "",
            "\"",
            "a\"b",
            "a<b",
            "a b",
            "é",
            "&quot;",
            &"x".repeat(161),
        ] {
            assert!(PlainToken::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_mistake_is_tied_to_the_fields_that_it_is_about() {
        let page = Page::Form {
            token: token(),
            least: None,
            mistake: Some(Mistake::Weak(PasswordError::TooShort { least: 12 })),
        };
        let html = page.html();
        assert_eq!(
            html.matches("aria-describedby=\"mistake rule\" aria-invalid=\"true\"")
                .count(),
            2
        );
        assert!(html.contains("role=\"alert\">The password must have at least 12 characters;"));
        assert_eq!(html.matches("glk_0aZ").count(), 1);
    }
}
