//! Examples as blocks of code: short ones open, long ones to be unfolded.

use serde_json::Value;

use crate::address;
use crate::html::Html;
use crate::markdown::{Headings, blocks, inline};

/// From how many lines on an example is folded.
const LONG_LINES: usize = 30;

/// A value as indented JSON.
pub(crate) fn json(value: &Value) -> String {
    format!("{value:#}")
}

/// A value on one line: a text as it is, all else as JSON.
pub(crate) fn in_line(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Which examples are folded at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fold {
    /// The long ones.
    Long,
    /// All, where they are alike and many.
    All,
}

/// One example with its caption, and a note below the caption if there is something to say.
pub(crate) fn block(caption: &str, note: Option<&str>, content: &str, fold: Fold) -> Html {
    let mut html = Html::new();
    html.raw("<details");
    if fold == Fold::Long && content.lines().count() <= LONG_LINES {
        html.raw(" open");
    }
    html.raw("><summary>")
        .append(&inline(caption))
        .raw("</summary>");
    if let Some(note) = note {
        html.append(&blocks(note, Headings::Bold, address::allowed));
    }
    html.raw("<pre tabindex=\"0\"><code>")
        .text(content)
        .raw("</code></pre></details>");
    html
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Fold, block};

    #[test]
    fn a_long_example_is_folded() {
        let short = block(
            "Example",
            None,
            &super::json(&json!({ "a": "<" })),
            Fold::Long,
        );
        assert_eq!(
            short.into_string(),
            "<details open><summary>Example</summary><pre tabindex=\"0\"><code>{\n  &quot;a&quot;: &quot;&lt;&quot;\n}\
             </code></pre></details>"
        );
        let long = block("Example", None, &"line\n".repeat(31), Fold::Long).into_string();
        assert!(long.starts_with("<details><summary>"), "{long}");
        let alike = block("Example", None, "x", Fold::All).into_string();
        assert!(alike.starts_with("<details><summary>"), "{alike}");
    }
}
