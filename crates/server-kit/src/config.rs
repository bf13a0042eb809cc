//! Configuration: read once by `main`, from options or the environment, checked as a whole, and handed down.
//!
//! Every mistake is told, not just the first, with the option, the variable and the mend. No mistake repeats what was
//! given: a secret may have landed in the wrong variable. An empty value counts as none.

mod api;
mod args;
mod database_url;
mod describe;
mod listen;
mod log_filter;
mod mail;
mod mistakes;
pub mod names;
mod origin;
mod reading;
mod secrets;
mod settings;

pub use api::ApiSettings;
pub use args::{ApiArgs, CommonArgs, TokenArgs};
pub use describe::render;
pub use listen::TokenSettings;
pub use mail::{MailRoute, MailSettings, SenderError};
pub use mistakes::{Mistake, Mistakes, all};
pub use origin::{Origin, OriginError};
pub use reading::Name;
pub use settings::CommonSettings;
