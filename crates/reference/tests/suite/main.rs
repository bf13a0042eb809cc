//! The pages as a browser gets them: whole, strict, and whatever the document says.
#![cfg(test)]

mod hostile;
mod pages;
mod strict;
