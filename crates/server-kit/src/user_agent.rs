//! The program that sent a request, as far as it is worth keeping.

use actix_web::HttpRequest;
use actix_web::http::header::USER_AGENT;

use crate::misplaced::without_secrets;

/// The most characters that are kept.
const LIMIT: usize = 200;

/// What the request says of the program that sent it; what is not UTF-8 in it is replaced, and what could be a secret
/// is left out.
pub fn user_agent(request: &HttpRequest) -> Option<String> {
    let told = request.headers().get(USER_AGENT)?;
    let text = String::from_utf8_lossy(told.as_bytes());
    Some(without_secrets(&text).chars().take(LIMIT).collect())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;

    use super::*;

    fn kept(told: &[u8]) -> Option<String> {
        let value = HeaderValue::from_bytes(told).unwrap();
        user_agent(
            &TestRequest::default()
                .insert_header((USER_AGENT, value))
                .to_http_request(),
        )
    }

    #[test]
    fn it_is_cut_and_readable_whatever_was_sent() {
        assert_eq!(kept(b"curl/8"), Some("curl/8".to_owned()));
        assert_eq!(kept(&b"x ".repeat(500)), Some("x ".repeat(100)));
        assert_eq!(kept(b"a\xffb"), Some("a\u{fffd}b".to_owned()));
        assert_eq!(user_agent(&TestRequest::default().to_http_request()), None);
        // A secret is not cut in two by the limit and kept by half.
        let late = [b"x ".repeat(90), b"s".repeat(60)].concat();
        assert_eq!(kept(&late), Some("x ".repeat(90) + "[60 characters]"));
    }
}
