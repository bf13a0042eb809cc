//! The authority on a real PostgreSQL: who calls, while everything that a caller's rights rest on changes.
#![cfg(test)]

mod callers;
mod site;
