//! The frame of every page: head, skip link, links to other pages, contents and the main part.

use crate::address;
use crate::html::Html;
use crate::style::STYLE;

/// A link in the head of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link<'a> {
    /// What it says.
    pub text: &'a str,
    /// Where it leads: `http`, `https`, `mailto`, `#…` or a path from the server's root. Others are left out.
    pub address: &'a str,
}

/// What a page is made of.
pub(crate) struct Page<'a> {
    pub(crate) title: &'a str,
    pub(crate) links: &'a [Link<'a>],
    pub(crate) contents: Option<Html>,
    pub(crate) main: Html,
}

impl Page<'_> {
    /// The whole page.
    pub(crate) fn render(&self) -> String {
        let mut html = Html::new();
        html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
            .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
            .raw("<meta name=\"referrer\" content=\"no-referrer\">\n<title>")
            .text(self.title)
            .raw("</title>\n<style>")
            .raw(STYLE)
            .raw("</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n");
        html.append(&self.head());
        if let Some(contents) = &self.contents {
            html.raw("<nav class=\"contents\" aria-label=\"Contents\">\n")
                .append(contents)
                .raw("</nav>\n");
        }
        html.raw("<main id=\"main\" tabindex=\"-1\">\n")
            .append(&self.main)
            .raw("</main>\n</body>\n</html>\n");
        html.into_string()
    }

    fn head(&self) -> Html {
        let mut items = Html::new();
        for link in self.links {
            if let Some(address) = address::allowed(link.address) {
                items
                    .raw("<li>")
                    .link(&address, &Html::of_text(link.text))
                    .raw("</li>");
            }
        }
        let mut html = Html::new();
        if !items.is_empty() {
            html.raw("<header><nav aria-label=\"Pages\"><ul>")
                .append(&items)
                .raw("</ul></nav></header>\n");
        }
        html
    }
}
