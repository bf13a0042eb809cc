//! Cursors: places in a list, as they are told outside.
//!
//! A cursor is sealed for the list that it came from, with its filters and its order. So it can be neither made up nor
//! carried over to another tenant or another list; and it tells nothing of what stands at the place, which need not be
//! something that the caller may see.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor_keys::{Entropy, Keyring, SealContext};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::problem::Problem;

const CURSOR: SealContext<'static> = SealContext {
    tenant: None,
    table: "cursor of a list",
    row: Uuid::nil(),
};

/// A place is filled up to a multiple of so many bytes: the length of a word is not to be seen either.
const STEP: usize = 128;

/// Where an item stands in its list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// What the list is sorted by, when it is not the time of making.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The item's id.
    #[serde(rename = "i")]
    pub id: Uuid,
}

impl Place {
    /// A place by id alone.
    pub fn of(id: Uuid) -> Self {
        Self { key: None, id }
    }
}

/// Writes and reads the cursors of one list.
#[derive(Debug)]
pub(super) struct Cursors {
    keyring: Keyring,
    entropy: Arc<dyn Entropy>,
    /// Each list has a key of its own.
    list: Vec<u8>,
}

impl Cursors {
    pub(super) fn of(list: &str, keyring: &Keyring, entropy: &Arc<dyn Entropy>) -> Self {
        Self {
            keyring: keyring.clone(),
            entropy: entropy.clone(),
            list: list.as_bytes().to_vec(),
        }
    }

    pub(super) fn write(&self, place: &Place) -> Result<String, Problem> {
        let failed = |error: &dyn fmt::Display| {
            log::error!("a cursor can't be sealed: {error}");
            Problem::Internal
        };
        let mut plain = serde_json::to_vec(place).map_err(|error| failed(&error))?;
        // JSON may end in spaces.
        plain.resize(plain.len().next_multiple_of(STEP), b' ');
        let sealed = self
            .keyring
            .seal_for_holder(self.entropy.as_ref(), &CURSOR, &self.list, &plain)
            .map_err(|error| failed(&error))?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    pub(super) fn read(&self, cursor: &str) -> Option<Place> {
        let sealed = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let plain = self
            .keyring
            .open_for_holder(&CURSOR, &self.list, &sealed)
            .ok()?;
        serde_json::from_slice(&plain).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use grantor_keys::{MasterKey, SystemEntropy};

    fn cursors() -> Cursors {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
        let keyring = Keyring::new(MasterKey::generate(entropy.as_ref()).unwrap(), Vec::new());
        Cursors::of("clients", &keyring, &entropy)
    }

    fn at(word: &str) -> Place {
        Place {
            key: Some(word.to_owned()),
            id: Uuid::from_u128(1),
        }
    }

    #[test]
    fn a_forged_cursor_is_refused() {
        let cursors = cursors();
        let good = cursors.write(&at("smith")).unwrap();
        assert_eq!(cursors.read(&good), Some(at("smith")));
        for position in 0..good.len() {
            let mut letters: Vec<char> = good.chars().collect();
            letters[position] = if letters[position] == 'A' { 'B' } else { 'A' };
            let forged: String = letters.into_iter().collect();
            assert_eq!(cursors.read(&forged), None, "{forged}");
        }
        for bad in [
            "",
            "A",
            "====",
            "%00",
            "ü",
            &good[..good.len() - 1],
            &format!("{good}A"),
        ] {
            assert_eq!(cursors.read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_cursor_tells_nothing_of_its_place() {
        let cursors = cursors();
        let [long, short] = ["smithers", "s"].map(|word| cursors.write(&at(word)).unwrap());
        assert_eq!(long.len(), short.len());
        let bytes = URL_SAFE_NO_PAD.decode(&long).unwrap();
        for secret in [&b"smith"[..], at("").id.to_string().as_bytes()] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret));
        }
        assert_ne!(long, cursors.write(&at("smithers")).unwrap());
    }
}
