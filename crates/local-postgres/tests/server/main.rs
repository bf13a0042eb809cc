//! The private server with a real PostgreSQL: its life, its crashes, and where it lives.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod life;
#[cfg(test)]
mod place;
#[cfg(test)]
mod support;
