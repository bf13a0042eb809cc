//! The entities of Grantor, their states, and every decision about them, as pure functions.
//!
//! Nothing in this crate performs I/O, reads a clock or draws a random number: `now` and ids come in as
//! arguments, and what goes out is a decision. So each rule of the product can be read here in one place
//! and proved without a database.

pub mod access;
pub mod audit;
pub mod authentication;
pub mod chosen_secret;
pub mod client;
pub mod client_rules;
pub mod client_secret;
pub mod credential_link;
pub mod failure;
pub mod grant;
pub mod ids;
pub mod ip_rule;
pub mod lifetime;
pub mod limits;
pub mod member;
pub mod openid;
pub mod organization;
pub mod own_role;
pub mod ownership;
pub mod password;
pub mod permission;
pub mod quota;
pub mod redirect_uri;
pub mod refresh;
pub mod resource_server;
pub mod role;
pub mod search;
pub mod settings;
pub mod signing_key;
pub mod suspension;
pub mod tenant;
pub mod text;
pub mod token;
pub mod web_address;
