//! What is written to the terminal: results to standard output, complaints to standard error.

/// A result.
#[expect(
    clippy::print_stdout,
    reason = "a command's result belongs to standard output"
)]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// What went wrong.
#[expect(clippy::print_stderr, reason = "a person waits at the terminal")]
pub(crate) fn complain(text: &str) {
    eprintln!("grantor: {text}");
}
