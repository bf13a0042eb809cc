//! The program as a person uses it: started, stopped, killed, misconfigured, and asked over HTTP.

#[cfg(test)]
mod bootstrap;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod database;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod first_start;
#[cfg(test)]
mod hanging;
#[cfg(test)]
mod life;
#[cfg(test)]
mod master_key;
#[cfg(test)]
mod migrate;
#[cfg(test)]
mod new_secrets;
#[cfg(test)]
mod place;
#[cfg(test)]
mod program;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod restore_fence;
#[cfg(test)]
mod tour;
