//! Opening a port, and saying what to do when it cannot be opened.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

/// How many connections may wait to be accepted; the standard library's 128 overflow when many callers connect at once.
const BACKLOG: i32 = 1024;

/// Why a port could not be opened; the text names the option that chooses another.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program listens there.
    #[error("port {port} on {host} is already in use: stop the other program or choose another with {option} or {env}", port = .address.port(), host = .address.ip())]
    Taken {
        /// Where it was tried.
        address: SocketAddr,
        /// The option that chooses the address.
        option: &'static str,
        /// The environment variable that chooses the address.
        env: &'static str,
    },
    /// The system does not let this user listen there.
    #[error("this user may not listen on port {port} on {host}: choose a port above 1023 with {option} or {env}, or give the program the right to", port = .address.port(), host = .address.ip())]
    Forbidden {
        /// Where it was tried.
        address: SocketAddr,
        /// The option that chooses the address.
        option: &'static str,
        /// The environment variable that chooses the address.
        env: &'static str,
    },
    /// The address does not belong to this machine.
    #[error("{host} is not an address of this machine: choose one that is with {option} or {env}", host = .address.ip())]
    NotHere {
        /// Where it was tried.
        address: SocketAddr,
        /// The option that chooses the address.
        option: &'static str,
        /// The environment variable that chooses the address.
        env: &'static str,
    },
    /// What was given names no address.
    #[error(
        "the address given with {option} or {env} cannot be found: give an address and a port, such as 127.0.0.1:8080"
    )]
    Unknown {
        /// The option that chooses the address.
        option: &'static str,
        /// The environment variable that chooses the address.
        env: &'static str,
    },
    /// Anything else.
    #[error("{address} cannot be listened on ({option} or {env})")]
    Other {
        /// Where it was tried.
        address: SocketAddr,
        /// The option that chooses the address.
        option: &'static str,
        /// The environment variable that chooses the address.
        env: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Listens on `address` (port 0 lets the system choose); `option` and `env` are what the operator would change.
pub fn bind(
    address: impl ToSocketAddrs,
    option: &'static str,
    env: &'static str,
) -> Result<TcpListener, BindError> {
    let unknown = BindError::Unknown { option, env };
    let Ok(candidates) = address.to_socket_addrs() else {
        return Err(unknown);
    };
    let mut failure = unknown;
    for address in candidates {
        match open(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = BindError::explain(address, option, env, error),
        }
    }
    Err(failure)
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl BindError {
    fn explain(
        address: SocketAddr,
        option: &'static str,
        env: &'static str,
        source: io::Error,
    ) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::Taken {
                address,
                option,
                env,
            },
            io::ErrorKind::PermissionDenied => Self::Forbidden {
                address,
                option,
                env,
            },
            io::ErrorKind::AddrNotAvailable => Self::NotHere {
                address,
                option,
                env,
            },
            _ => Self::Other {
                address,
                option,
                env,
                source,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_bind(address: impl ToSocketAddrs) -> Result<TcpListener, BindError> {
        bind(address, "--api-listen", "GRANTOR_API_LISTEN")
    }

    #[test]
    fn port_zero_lets_the_system_choose() {
        let listener = try_bind("127.0.0.1:0").unwrap();
        assert_ne!(listener.local_addr().unwrap().port(), 0);
    }

    #[test]
    fn a_taken_port_is_told_with_the_option_that_chooses_another() {
        let first = try_bind("127.0.0.1:0").unwrap();
        let address = first.local_addr().unwrap();
        assert_eq!(
            try_bind(address).unwrap_err().to_string(),
            format!(
                "port {} on 127.0.0.1 is already in use: stop the other program or choose another \
                 with --api-listen or GRANTOR_API_LISTEN",
                address.port()
            )
        );
    }

    #[test]
    fn a_refusal_by_the_system_names_the_option() {
        let error = BindError::explain(
            "127.0.0.1:80".parse().unwrap(),
            "--api-listen",
            "GRANTOR_API_LISTEN",
            io::ErrorKind::PermissionDenied.into(),
        );
        assert!(matches!(error, BindError::Forbidden { .. }));
        assert!(error.to_string().contains("port 80 on 127.0.0.1"));
        assert!(
            error
                .to_string()
                .contains("--api-listen or GRANTOR_API_LISTEN")
        );
    }

    #[test]
    fn an_address_of_another_machine_is_told() {
        // 192.0.2.0/24 is reserved for documentation (RFC 5737).
        let error = try_bind("192.0.2.1:0").unwrap_err();
        assert!(matches!(error, BindError::NotHere { .. }), "{error}");
    }

    #[test]
    fn what_is_no_address_is_told() {
        assert!(matches!(try_bind("8080"), Err(BindError::Unknown { .. })));
    }
}
