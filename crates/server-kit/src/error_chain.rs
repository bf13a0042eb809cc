//! A failure of ours in one line: what happened, and everything that led to it.

use std::error::Error;

/// Writes a failure with its sources, in order.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Logs a failure with its sources. Called once, where the failure becomes an answer.
pub fn log_failure(error: &dyn Error) {
    log::error!("{}", chain(error));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("the inner")]
    struct Inner;

    #[test]
    fn the_sources_follow_in_order() {
        assert_eq!(chain(&Outer(Inner)), "the outer: the inner");
        assert_eq!(chain(&Inner), "the inner");
    }
}
