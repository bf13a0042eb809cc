//! Proofs by secrets that somebody chose (`secret_4`): by a slow hash, and from then on out of memory.
//!
//! Whether a secret is live is read from PostgreSQL each time; what is remembered is only that a text goes with a
//! verifier, which never changes. So whoever has proved a secret once takes no turn in the queue again, and a flood of
//! wrong guesses, of which none is ever remembered, holds up nobody who is known.
//!
//! The queue is not that of passwords: whoever guesses at the token server keeps no member from coming in. It has no
//! more than half the cores, and of these no one client's guesses have all places. Wrong guesses come out of budgets of
//! their network and of the client they are aimed at, so that a flood of them soon takes next to nothing.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use grantor_keys::{Keyring, PasswordVerifier};
use thiserror::Error;
use tokio::sync::OnceCell;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::allowance::{Allowance, GUESSES, Spent};
use crate::{NotHashed, SlowHash, SlowHashLimits, locked};

/// How many proofs are remembered at most.
const MOST: usize = 10_000;
/// How many guesses at one client's secrets run or wait at most.
const MOST_OF_ONE: usize = 6;
const PURPOSE: &str = "proved chosen secret v1";

/// What tells one proof: a keyed hash over the verifier, whose it is, and what was presented. Neither the secret nor
/// anything to test a guess by is in it without the master key.
pub(crate) type Digest = [u8; 32];

/// Verifiers against which what was presented has yet to be held.
pub(crate) struct Undecided {
    /// Whose secrets these are.
    pub(crate) owner: Uuid,
    /// The verifiers.
    pub(crate) verifiers: Vec<PasswordVerifier>,
}

/// Why nothing was held against a verifier; coming again later may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum NotProved {
    #[error(transparent)]
    NotHashed(#[from] NotHashed),
    #[error("too many guesses were wrong")]
    Spent(Spent),
}

impl From<Spent> for NotProved {
    fn from(spent: Spent) -> Self {
        Self::Spent(spent)
    }
}

/// Proves chosen secrets. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct ChosenSecrets {
    keyring: Keyring,
    queue: SlowHash,
    proved: Arc<Mutex<Proved>>,
    /// How many run or wait, by whose secrets they are at.
    guesses: Arc<Mutex<HashMap<Uuid, usize>>>,
    wrong: Allowance<Uuid>,
    under_way: Arc<Mutex<UnderWay>>,
}

/// Proofs that are being made, by what is held against what.
type UnderWay = HashMap<Digest, Proof>;

impl ChosenSecrets {
    pub(crate) fn new(keyring: Keyring, limits: SlowHashLimits) -> Self {
        Self {
            keyring,
            queue: SlowHash::new(limits),
            proved: Arc::default(),
            guesses: Arc::default(),
            wrong: Allowance::new(GUESSES),
            under_way: Arc::default(),
        }
    }

    /// What tells the proof of a text by a verifier.
    pub(crate) fn digest(
        &self,
        verifier: &PasswordVerifier,
        owner: Uuid,
        presented: &str,
    ) -> Digest {
        self.digest_of(verifier.as_str(), owner, presented)
    }

    fn digest_of(&self, verifier: &str, owner: Uuid, presented: &str) -> Digest {
        let verifier = verifier.as_bytes();
        // The first part goes after its length and the second has one length, so that they don't run into each other.
        let message = Zeroizing::new(
            [
                (verifier.len() as u64).to_be_bytes().as_slice(),
                verifier,
                owner.as_bytes(),
                presented.as_bytes(),
            ]
            .concat(),
        );
        *self.keyring.mac(PURPOSE, &message).as_bytes()
    }

    /// Whether this was proved before.
    pub(crate) fn knows(&self, digest: &Digest) -> bool {
        locked(&self.proved).has(digest)
    }

    /// Holds a text against the verifiers, when its turn has come; tells the proof, and remembers it. Whoever comes with
    /// the same meanwhile takes no turn, but waits along: a client that starts in many places at once is one.
    pub(crate) async fn prove(
        &self,
        undecided: Undecided,
        presented: Zeroizing<String>,
        from: Option<IpAddr>,
    ) -> Result<Option<Digest>, NotProved> {
        let all: Vec<&str> = undecided
            .verifiers
            .iter()
            .map(PasswordVerifier::as_str)
            .collect();
        let key = self.digest_of(&all.join("\n"), undecided.owner, &presented);
        let part = Part::take(&self.under_way, key);
        let proof = part
            .outcome
            .get_or_try_init(|| self.held_against(undecided, presented, from));
        proof.await.copied()
    }

    async fn held_against(
        &self,
        undecided: Undecided,
        presented: Zeroizing<String>,
        from: Option<IpAddr>,
    ) -> Result<Option<Digest>, NotProved> {
        let Undecided { owner, verifiers } = undecided;
        // It is held against each of them.
        let count = u32::try_from(verifiers.len()).unwrap_or(u32::MAX);
        self.wrong.look(from, &owner, count)?;
        let place = Place::take(&self.guesses, owner).ok_or(NotHashed::Crowded)?;
        let chosen = self.clone();
        let proof = self.queue.run(move |memory| {
            // It goes with the work: a caller that gave up doesn't free what is still in use.
            let _place = place;
            let found = verifiers.iter().find(|verifier| {
                verifier
                    .verify(&presented, owner, memory)
                    .unwrap_or_else(|unknown| {
                        log::error!("a verifier of client {owner} can't be read: {unknown}");
                        false
                    })
            });
            let Some(found) = found else {
                // What proves something is no guess, and what found no turn cost nothing.
                chosen.wrong.charge(from, &owner, count);
                return None;
            };
            let digest = chosen.digest(found, owner, &presented);
            locked(&chosen.proved).remember(digest);
            Some(digest)
        });
        Ok(proof.await?)
    }
}

/// A proof that is being made, and how many wait for it.
#[derive(Default)]
struct Proof {
    outcome: Arc<OnceCell<Option<Digest>>>,
    parts: usize,
}

/// One's part in a proof that is being made. The last who leaves leaves nothing behind.
struct Part {
    under_way: Arc<Mutex<UnderWay>>,
    key: Digest,
    outcome: Arc<OnceCell<Option<Digest>>>,
}

impl Part {
    fn take(under_way: &Arc<Mutex<UnderWay>>, key: Digest) -> Self {
        let mut all = locked(under_way);
        let proof = all.entry(key).or_default();
        proof.parts += 1;
        Self {
            outcome: proof.outcome.clone(),
            under_way: under_way.clone(),
            key,
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut all = locked(&self.under_way);
        if let Some(proof) = all.get_mut(&self.key) {
            proof.parts = proof.parts.saturating_sub(1);
            if proof.parts == 0 {
                all.remove(&self.key);
            }
        }
    }
}

/// A place among the guesses at one client's secrets.
struct Place {
    guesses: Arc<Mutex<HashMap<Uuid, usize>>>,
    owner: Uuid,
}

impl Place {
    fn take(guesses: &Arc<Mutex<HashMap<Uuid, usize>>>, owner: Uuid) -> Option<Self> {
        let mut all = locked(guesses);
        let taken = all.entry(owner).or_default();
        if *taken >= MOST_OF_ONE {
            return None;
        }
        *taken += 1;
        Some(Self {
            guesses: guesses.clone(),
            owner,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = locked(&self.guesses);
        if let Some(taken) = all.get_mut(&self.owner) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                all.remove(&self.owner);
            }
        }
    }
}

/// The proofs that are remembered, in two halves: when the younger one is full, the elder is forgotten, and whatever of
/// it is still used has come over by then.
#[derive(Default)]
struct Proved {
    younger: HashSet<Digest>,
    elder: HashSet<Digest>,
}

impl Proved {
    fn has(&mut self, digest: &Digest) -> bool {
        if self.younger.contains(digest) {
            return true;
        }
        let known = self.elder.contains(digest);
        if known {
            self.remember(*digest);
        }
        known
    }

    fn remember(&mut self, digest: Digest) {
        if self.younger.len() >= MOST / 2 && !self.younger.contains(&digest) {
            self.elder = std::mem::take(&mut self.younger);
        }
        self.younger.insert(digest);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use grantor_keys::{HashMemory, MasterKey, SystemEntropy};

    use super::*;

    const OWNER: Uuid = Uuid::from_u128(7);
    const SECRET: &str = "Vq7-mX2_kT9wR4zB8nLpC3sYd6hJ1gFe";

    fn chosen(limits: SlowHashLimits) -> ChosenSecrets {
        let master = MasterKey::generate(&SystemEntropy::default()).unwrap();
        ChosenSecrets::new(Keyring::new(master, Vec::new()), limits)
    }

    fn verifier(secret: &str) -> PasswordVerifier {
        let entropy = SystemEntropy::default();
        PasswordVerifier::hash(secret, OWNER, &entropy, &mut HashMemory::default()).unwrap()
    }

    fn of(verifiers: &[&PasswordVerifier]) -> Undecided {
        Undecided {
            owner: OWNER,
            verifiers: verifiers.iter().map(|one| (*one).clone()).collect(),
        }
    }

    fn text(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn secret_4_a_right_secret_is_remembered_and_a_wrong_one_never() {
        let chosen = chosen(SlowHashLimits::for_cores(1));
        let (other, right) = (verifier("another"), verifier(SECRET));
        let digest = chosen.digest(&right, OWNER, SECRET);
        assert!(!chosen.knows(&digest));
        let wrong = chosen.prove(of(&[&other, &right]), text("wrong"), None);
        assert_eq!(wrong.await, Ok(None));
        assert!(locked(&chosen.proved).younger.is_empty());
        let proof = chosen.prove(of(&[&other, &right]), text(SECRET), None);
        assert_eq!(proof.await, Ok(Some(digest)));
        assert!(chosen.knows(&digest));
        // Of another text, another verifier and another owner it says nothing.
        for foreign in [
            chosen.digest(&right, OWNER, "wrong"),
            chosen.digest(&other, OWNER, SECRET),
            chosen.digest(&right, Uuid::from_u128(8), SECRET),
        ] {
            assert!(!chosen.knows(&foreign));
        }
        assert!(locked(&chosen.guesses).is_empty(), "no place is left taken");
    }

    #[tokio::test]
    async fn secret_4_the_guesses_at_one_client_leave_room_for_those_of_others() {
        let chosen = chosen(SlowHashLimits {
            at_once: 1,
            waiting: 100,
            patience: Duration::from_secs(600),
        });
        let right = verifier(SECRET);
        // While all of one client's places are taken, another client still has some.
        let taken: Vec<_> = (0..MOST_OF_ONE)
            .map(|_| Place::take(&chosen.guesses, OWNER).unwrap())
            .collect();
        let refused = chosen.prove(of(&[&right]), text(SECRET), None).await;
        assert_eq!(refused, Err(NotHashed::Crowded.into()));
        let other = Uuid::from_u128(8);
        let entropy = SystemEntropy::default();
        let memory = &mut HashMemory::default();
        let theirs = PasswordVerifier::hash(SECRET, other, &entropy, memory).unwrap();
        let undecided = Undecided {
            owner: other,
            verifiers: vec![theirs],
        };
        let proof = chosen.prove(undecided, text(SECRET), None).await;
        assert!(proof.unwrap().is_some());
        drop(taken);
        let again = chosen.prove(of(&[&right]), text(SECRET), None).await;
        assert!(again.unwrap().is_some());
    }

    #[tokio::test]
    async fn secret_4_a_client_that_starts_in_many_places_at_once_takes_one_turn() {
        let chosen = chosen(SlowHashLimits {
            at_once: 1,
            waiting: 0,
            patience: Duration::from_secs(600),
        });
        let right = verifier(SECRET);
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..4 * MOST_OF_ONE {
            let (chosen, undecided) = (chosen.clone(), of(&[&right]));
            asking.spawn(async move { chosen.prove(undecided, text(SECRET), None).await });
        }
        let digest = chosen.digest(&right, OWNER, SECRET);
        while let Some(proof) = asking.join_next().await {
            assert_eq!(proof.unwrap(), Ok(Some(digest)));
        }
        assert!(locked(&chosen.under_way).is_empty(), "nothing is left");
        // Another text has no part in it.
        let (one, other) = tokio::join!(
            chosen.prove(of(&[&right]), text(SECRET), None),
            chosen.prove(of(&[&right]), text("wrong"), None),
        );
        assert_eq!(
            (one, other),
            (Ok(Some(digest)), Err(NotHashed::Crowded.into()))
        );
        assert!(locked(&chosen.under_way).is_empty(), "nothing is left");
    }

    #[tokio::test]
    async fn secret_4_wrong_guesses_are_soon_told_to_wait_and_right_ones_from_elsewhere_are_not() {
        let chosen = chosen(SlowHashLimits::for_cores(1));
        let right = verifier(SECRET);
        let [guesser, other] = ["192.0.2.1", "192.0.2.2"].map(|one| one.parse().ok());
        let mut wrong = 0;
        loop {
            let guess = text(&format!("{SECRET}-{wrong}"));
            match chosen.prove(of(&[&right]), guess, guesser).await {
                Ok(None) => wrong += 1,
                Err(NotProved::Spent(spent)) => {
                    assert!(spent.retry_after <= Duration::from_secs(1), "{spent:?}");
                    break;
                }
                unexpected => panic!("{unexpected:?}"),
            }
            assert!(wrong < 200, "guesses have no end");
        }
        assert!(wrong >= 20, "{wrong}");
        // However often something is proved: the proofs are forgotten between.
        for _ in 0..2 * wrong {
            *locked(&chosen.proved) = Proved::default();
            let proof = chosen.prove(of(&[&right]), text(SECRET), other).await;
            assert!(matches!(proof, Ok(Some(_))), "{proof:?}");
        }
        // From where nothing is left, nobody is told that the right one is wrong.
        *locked(&chosen.proved) = Proved::default();
        chosen.wrong.charge(guesser, &Uuid::from_u128(9), 1_000);
        let proof = chosen.prove(of(&[&right]), text(SECRET), guesser).await;
        assert!(matches!(proof, Err(NotProved::Spent(_))), "{proof:?}");
    }

    #[test]
    fn secret_4_memory_is_bounded_and_what_is_used_stays() {
        let digest = |number: usize| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&number.to_be_bytes());
            digest
        };
        let mut proved = Proved::default();
        for number in 0..4 * MOST {
            proved.remember(digest(number));
            assert!(proved.has(&digest(0)), "{number}");
            assert!(proved.younger.len() + proved.elder.len() <= MOST);
        }
        assert!(!proved.has(&digest(1)));
        assert!(proved.has(&digest(4 * MOST - 1)));
    }
}
