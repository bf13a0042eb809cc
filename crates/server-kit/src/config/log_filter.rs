//! Which log lines are written. The logger itself takes a mistyped level for a target and falls silent; here it is refused.

/// A log filter that would not do what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a level (off, error, warn, info, debug, trace) or a list such as info,access=warn")]
pub(super) struct LogFilterError;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Whether the filter is a list of `level` and `target=level`.
pub(super) fn check(filter: &str) -> Result<(), LogFilterError> {
    let good = filter.split(',').all(|directive| {
        let (target, level) = match directive.trim().split_once('=') {
            Some((target, level)) => (Some(target), level),
            None => (None, directive.trim()),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-');
        LEVELS.contains(&level)
            && target.is_none_or(|target| !target.is_empty() && target.chars().all(plain))
    });
    if good { Ok(()) } else { Err(LogFilterError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_targets_with_levels_are_understood() {
        for filter in [
            "off",
            "info",
            "warn,access=info",
            "info, grantor_storage::pool=debug,actix_server=warn",
        ] {
            assert_eq!(check(filter), Ok(()), "{filter}");
        }
    }

    #[test]
    fn a_mistyped_level_is_not_taken_for_a_target() {
        for filter in [
            "",
            "inof",
            "access",
            "info,",
            "access=",
            "=info",
            "access=loud",
            "info/secret",
            "a b=info",
            "INFO=x",
        ] {
            assert_eq!(check(filter), Err(LogFilterError), "{filter}");
        }
    }
}
