//! Positions in the feed, as they are told outside: sealed, for the numbers themselves would tell how much is
//! going on in other tenants. A position belongs to one tenant.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor_domain::ids::TenantId;
use grantor_keys::{Entropy, Keyring, SealContext};
use uuid::Uuid;

use super::Start;
use crate::call::Call;
use crate::problem::Problem;

/// Positions are sealed by the hundred at each request: under a key of their own they wear out no other.
const KEY: &[u8] = b"positions";

/// Writes and reads the positions of one tenant.
#[derive(Clone)]
pub(crate) struct Positions {
    keyring: Keyring,
    entropy: Arc<dyn Entropy>,
    tenant: TenantId,
}

impl Positions {
    pub(crate) fn of(call: &Call) -> Self {
        let authority = &call.api().authority;
        Self {
            keyring: authority.keyring().clone(),
            entropy: authority.database().entropy().clone(),
            tenant: call.tenant(),
        }
    }

    fn place(&self) -> SealContext<'static> {
        SealContext {
            tenant: Some(self.tenant.uuid()),
            table: "position in the change feed",
            row: Uuid::nil(),
        }
    }

    /// The text of a position.
    pub(crate) fn write(&self, epoch: i64, sequence: i64) -> Result<String, Problem> {
        let plain = [epoch.to_be_bytes(), sequence.to_be_bytes()].concat();
        let sealed = self
            .keyring
            .seal_for_holder(self.entropy.as_ref(), &self.place(), KEY, &plain)
            .map_err(|error| {
                log::error!("a position can't be sealed: {error}");
                Problem::Internal
            })?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Where a follower begins who says `after`.
    pub(crate) fn start(&self, after: Option<&str>) -> Result<Start, Problem> {
        let Some(text) = after else {
            return Ok(Start::Oldest);
        };
        if text == "now" {
            return Ok(Start::Now);
        }
        self.read_text(text).ok_or_else(|| {
            Problem::parameter(
                "after",
                "must be the `position` of an answer of this tenant's feed before, unchanged, or `now`",
            )
        })
    }

    fn read_text(&self, text: &str) -> Option<Start> {
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let plain = self
            .keyring
            .open_for_holder(&self.place(), KEY, &sealed)
            .ok()?;
        let (epoch, sequence) = plain.split_first_chunk()?;
        Some(Start::After {
            epoch: i64::from_be_bytes(*epoch),
            sequence: i64::from_be_bytes(sequence.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use grantor_keys::{MasterKey, SystemEntropy};

    #[test]
    fn a_position_is_read_by_its_own_tenant_alone() {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
        let keyring = Keyring::new(MasterKey::generate(entropy.as_ref()).unwrap(), Vec::new());
        let of = |tenant: u128| Positions {
            keyring: keyring.clone(),
            entropy: entropy.clone(),
            tenant: TenantId::from_uuid(Uuid::from_u128(tenant)),
        };
        let text = of(1).write(-5, 1_000_000).unwrap();
        let start = Start::After {
            epoch: -5,
            sequence: 1_000_000,
        };
        assert_eq!(of(1).start(Some(&text)).unwrap(), start);
        assert!(of(2).start(Some(&text)).is_err());
        assert_eq!(of(1).start(None).unwrap(), Start::Oldest);
        assert_eq!(of(1).start(Some("now")).unwrap(), Start::Now);
        for bad in ["", "1", "NOW", &text[1..], &text[..text.len() - 1], "ü"] {
            assert!(of(1).start(Some(bad)).is_err(), "{bad}");
        }
        // Nothing of the number is to be seen, nor that two positions are the same.
        assert_ne!(text, of(1).write(-5, 1_000_000).unwrap());
    }
}
