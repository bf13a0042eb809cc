//! Markup that can't be broken out of: what is written as it stands is a literal of this crate, and all else is
//! escaped.

/// A piece of HTML, well-formed as long as the literals are.
///
/// [`Html::raw`] takes a `&'static str`, so that no text of a document can be mistaken for markup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Html(String);

impl Html {
    /// An empty piece.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A piece that is one text.
    pub(crate) fn of_text(text: &str) -> Self {
        let mut html = Self::new();
        html.text(text);
        html
    }

    /// A piece that is one text in `<code>`.
    pub(crate) fn of_code(text: &str) -> Self {
        let mut html = Self::new();
        html.code(text);
        html
    }

    /// Adds markup of this crate.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, escaped.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            self.push_escaped(character);
        }
        self
    }

    /// Adds text in `<code>`, escaped.
    pub(crate) fn code(&mut self, text: &str) -> &mut Self {
        self.raw("<code>").text(text).raw("</code>")
    }

    /// Adds an attribute to the tag that is being written, escaped and quoted.
    pub(crate) fn attribute(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.raw(" ").raw(name).raw("=\"").text(value).raw("\"")
    }

    /// Adds another piece.
    pub(crate) fn append(&mut self, other: &Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// Adds a link.
    pub(crate) fn link(&mut self, address: &str, content: &Self) -> &mut Self {
        self.raw("<a")
            .attribute("href", address)
            .raw(">")
            .append(content)
            .raw("</a>")
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text of the markup.
    pub(crate) fn into_string(self) -> String {
        self.0
    }

    /// Pieces one after the other, with the separator in between.
    pub(crate) fn joined(pieces: &[Self], separator: &'static str) -> Self {
        let mut html = Self::new();
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                html.raw(separator);
            }
            html.append(piece);
        }
        html
    }

    fn push_escaped(&mut self, character: char) {
        match character {
            '&' => self.0.push_str("&amp;"),
            '<' => self.0.push_str("&lt;"),
            '>' => self.0.push_str("&gt;"),
            '"' => self.0.push_str("&quot;"),
            '\'' => self.0.push_str("&#39;"),
            '\n' | '\t' => self.0.push(character),
            // HTML has no way to write the others.
            control if control.is_control() => self.0.push(char::REPLACEMENT_CHARACTER),
            // These turn the order of what follows around, so that a text could show as another one.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                self.0.push(char::REPLACEMENT_CHARACTER);
            }
            other => self.0.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Html;

    #[test]
    fn text_cannot_become_markup() {
        let html = Html::of_text("</script><b a=\"1\" b='2'>&amp;");
        assert_eq!(
            html.into_string(),
            "&lt;/script&gt;&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;amp;"
        );
    }

    #[test]
    fn an_attribute_stays_in_its_quotes() {
        let mut html = Html::new();
        html.link("\" onclick=\"x", &Html::of_text("t"));
        assert_eq!(
            html.into_string(),
            "<a href=\"&quot; onclick=&quot;x\">t</a>"
        );
    }

    #[test]
    fn control_characters_and_turned_text_are_replaced() {
        assert_eq!(
            Html::of_text("a\0b\u{1b}c\u{202e}d\n\te").into_string(),
            "a\u{fffd}b\u{fffd}c\u{fffd}d\n\te"
        );
    }
}
