//! Texts in `CommonMark`, with tables, as HTML without surprises.
//!
//! HTML within the text shows as the text that it is, an image as its description, and a link only leads to
//! where [`crate::address`] allows. Headings are fitted below the heading that the text stands under.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::html::Html;

/// What becomes of the headings in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Headings {
    /// The highest one gets this level, 1 to 6; none goes deeper than one step at a time.
    From(usize),
    /// They are only set in bold, where the page's outline has no place for them.
    Bold,
}

/// Renders a text of blocks.
///
/// `address` says where a link leads in this page, or that it leads nowhere and only its text remains.
pub(crate) fn blocks(text: &str, headings: Headings, address: fn(&str) -> Option<String>) -> Html {
    let mut writer = Writer {
        html: Html::new(),
        levels: Levels::new(text, headings),
        address,
        open: Vec::new(),
        in_table_head: false,
    };
    for event in parser(text) {
        writer.event(event);
    }
    writer.html
}

/// Renders a short text without blocks and links, for headings and for what is a link itself.
pub(crate) fn inline(text: &str) -> Html {
    let mut html = Html::new();
    for event in parser(text) {
        match event {
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => html.text(&text),
            Event::Code(text) => html.code(&text),
            Event::SoftBreak | Event::HardBreak => html.raw(" "),
            _ => &mut html,
        };
    }
    html
}

fn parser(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_TABLES)
}

struct Writer {
    html: Html,
    levels: Levels,
    address: fn(&str) -> Option<String>,
    /// How the open tags that aren't closed alike each time will be closed.
    open: Vec<&'static str>,
    in_table_head: bool,
}

impl Writer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                self.html.text(&text);
            }
            Event::Code(text) => {
                self.html.code(&text);
            }
            Event::SoftBreak => {
                self.html.raw("\n");
            }
            Event::HardBreak => {
                self.html.raw("<br>");
            }
            Event::Rule => {
                self.html.raw("<hr>");
            }
            // What these belong to is not turned on.
            Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_)
            | Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.html.raw("<p>"),
            Tag::Heading { level, .. } => {
                let (open, close) = self.levels.next(*level);
                self.open.push(close);
                self.html.raw(open)
            }
            Tag::BlockQuote(_) => self.html.raw("<blockquote>"),
            Tag::CodeBlock(kind) => self
                .html
                .raw("<pre tabindex=\"0\"><code")
                .attribute("class", language(kind))
                .raw(">"),
            Tag::List(Some(1)) => {
                self.open.push("</ol>");
                self.html.raw("<ol>")
            }
            Tag::List(Some(first)) => {
                self.open.push("</ol>");
                self.html
                    .raw("<ol")
                    .attribute("start", &first.to_string())
                    .raw(">")
            }
            Tag::List(None) => {
                self.open.push("</ul>");
                self.html.raw("<ul>")
            }
            Tag::Item => self.html.raw("<li>"),
            Tag::Table(_) => self
                .html
                .raw("<div class=\"scroll\" tabindex=\"0\"><table class=\"plain\">"),
            Tag::TableHead => {
                self.in_table_head = true;
                self.html.raw("<thead><tr>")
            }
            Tag::TableRow => self.html.raw("<tr>"),
            Tag::TableCell if self.in_table_head => self.html.raw("<th scope=\"col\">"),
            Tag::TableCell => self.html.raw("<td>"),
            Tag::Emphasis => self.html.raw("<em>"),
            Tag::Strong => self.html.raw("<strong>"),
            Tag::Link { dest_url, .. } => {
                if let Some(address) = (self.address)(dest_url) {
                    self.open.push("</a>");
                    self.html.raw("<a").attribute("href", &address).raw(">")
                } else {
                    self.open.push("");
                    &mut self.html
                }
            }
            _ => &mut self.html,
        };
    }

    fn end(&mut self, tag: TagEnd) {
        let close = match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => "</p>",
            TagEnd::Heading(_) | TagEnd::List(_) | TagEnd::Link => {
                self.open.pop().unwrap_or_default()
            }
            TagEnd::BlockQuote(_) => "</blockquote>",
            TagEnd::CodeBlock => "</code></pre>",
            TagEnd::Item => "</li>",
            TagEnd::Table => "</tbody></table></div>",
            TagEnd::TableHead => {
                self.in_table_head = false;
                "</tr></thead><tbody>"
            }
            TagEnd::TableRow => "</tr>",
            TagEnd::TableCell if self.in_table_head => "</th>",
            TagEnd::TableCell => "</td>",
            TagEnd::Emphasis => "</em>",
            TagEnd::Strong => "</strong>",
            _ => "",
        };
        self.html.raw(close);
    }
}

/// The language is told to style alone, so only those that the pages know are named.
fn language(kind: &CodeBlockKind<'_>) -> &'static str {
    match kind {
        CodeBlockKind::Fenced(name) if name.as_ref() == "json" => "json",
        CodeBlockKind::Fenced(name) if matches!(name.as_ref(), "sh" | "bash" | "console") => "sh",
        _ => "text",
    }
}

/// Which level each heading of a text gets.
struct Levels {
    headings: Headings,
    highest: usize,
    before: Option<usize>,
}

impl Levels {
    fn new(text: &str, headings: Headings) -> Self {
        let highest = parser(text)
            .filter_map(|event| match event {
                Event::Start(Tag::Heading { level, .. }) => Some(level as usize),
                _ => None,
            })
            .min()
            .unwrap_or(HeadingLevel::H1 as usize);
        Self {
            headings,
            highest,
            before: None,
        }
    }

    fn next(&mut self, level: HeadingLevel) -> (&'static str, &'static str) {
        let Headings::From(first) = self.headings else {
            return ("<p><strong>", "</strong></p>");
        };
        let wanted = first + (level as usize).saturating_sub(self.highest);
        let level = wanted.min(self.before.map_or(first, |before| before + 1));
        self.before = Some(level);
        match level {
            1 => ("<h1>", "</h1>"),
            2 => ("<h2>", "</h2>"),
            3 => ("<h3>", "</h3>"),
            4 => ("<h4>", "</h4>"),
            5 => ("<h5>", "</h5>"),
            _ => ("<h6>", "</h6>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Headings, blocks, inline};
    use crate::address;

    fn rendered(text: &str) -> String {
        blocks(text, Headings::From(3), address::allowed).into_string()
    }

    #[test]
    fn the_usual_blocks() {
        assert_eq!(
            rendered("One `two` *three* **four**\nfive\n\n- a\n- b\n\n3. c"),
            "<p>One <code>two</code> <em>three</em> <strong>four</strong>\nfive</p>\
             <ul><li>a</li><li>b</li></ul><ol start=\"3\"><li>c</li></ol>"
        );
        assert_eq!(
            rendered("| a | b |\n|---|---|\n| 1 | `2` |"),
            "<div class=\"scroll\" tabindex=\"0\"><table class=\"plain\"><thead><tr><th scope=\"col\">a</th>\
             <th scope=\"col\">b</th></tr></thead><tbody><tr><td>1</td><td><code>2</code></td></tr></tbody>\
             </table></div>"
        );
    }

    #[test]
    fn html_in_the_text_is_text() {
        assert_eq!(
            rendered("a <b onclick='x'>b</b>"),
            "<p>a &lt;b onclick=&#39;x&#39;&gt;b&lt;/b&gt;</p>"
        );
        assert_eq!(
            rendered("<script>\nalert(1)\n</script>"),
            "<p>&lt;script&gt;\nalert(1)\n&lt;/script&gt;</p>"
        );
        assert_eq!(inline("<i>x</i>").into_string(), "&lt;i&gt;x&lt;/i&gt;");
    }

    #[test]
    fn a_link_that_is_not_allowed_leaves_its_text() {
        assert_eq!(rendered("[x](javascript:alert(1))"), "<p>x</p>");
        assert_eq!(
            rendered("[x](data:text/html,y) [z](//elsewhere.example)"),
            "<p>x z</p>"
        );
        assert_eq!(
            rendered("[x](https://example.com/?a=1&b=2)"),
            "<p><a href=\"https://example.com/?a=1&amp;b=2\">x</a></p>"
        );
    }

    #[test]
    fn an_image_is_its_description() {
        assert_eq!(
            rendered("![a pixel](https://elsewhere.example/p.png)"),
            "<p>a pixel</p>"
        );
    }

    #[test]
    fn a_language_cannot_leave_its_attribute() {
        assert_eq!(
            rendered("```\"><script>\nx\n```"),
            "<pre tabindex=\"0\"><code class=\"text\">x\n</code></pre>"
        );
    }

    #[test]
    fn headings_fit_below_the_one_they_stand_under() {
        assert_eq!(rendered("# a"), "<h3>a</h3>");
        assert_eq!(
            rendered("## a\n\n#### b\n\n## c"),
            "<h3>a</h3><h4>b</h4><h3>c</h3>"
        );
        assert_eq!(rendered("### a\n\n# b"), "<h3>a</h3><h3>b</h3>");
        assert_eq!(
            blocks("# a", Headings::Bold, address::allowed).into_string(),
            "<p><strong>a</strong></p>"
        );
    }
}
