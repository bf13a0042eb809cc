//! What a request is made of, and how each part of it is taken: the caller, the body, the page.

mod body;
mod caller;
mod fields;
mod page;

pub use body::{BODY_LIMIT, RawBody};
pub use caller::{Allowed, Call, refusal_event, refused};
pub use fields::Fields;
pub use page::{Cursors, Page, PageQuery, QueryString};
