//! A client that things happen to, and what others know of it meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use grantor_acceptance::Credentials;
use serde_json::{Value, json};

use super::talk::{Said, Talk};

/// How many of the dead are remembered.
const REMEMBERED: usize = 64;

/// Which calls have to do with tokens of this client. Tokens of both formats are good at the management API too.
pub(super) const FORMATS: [&str; 2] = [
    "signed.api:read grantor:clients.read",
    "opaque.api:read grantor:clients.read",
];

/// What is known of the client.
struct Known {
    name: String,
    current: Credentials,
    /// How many secrets there were before: tokens are told apart by it.
    generation: u64,
    /// Who asks meanwhile has these, each with the generation of the secret that it was got with.
    issued: Vec<(u64, String)>,
    dead_tokens: Vec<String>,
    dead_secrets: Vec<Credentials>,
}

/// The client, shared by the thread that strikes at it and by those that ask.
pub(super) struct Lane {
    known: Mutex<Known>,
    /// Odd while everything is refused: from when disabling was answered until enabling is asked for.
    turn: AtomicU64,
}

fn remember<T>(all: &mut Vec<T>, one: T) {
    if all.len() == REMEMBERED {
        all.remove(0);
    }
    all.push(one);
}

impl Lane {
    pub(super) fn make(talk: &Talk<'_>, name: &str) -> Self {
        Self {
            known: Mutex::new(Known {
                name: name.to_owned(),
                current: make_client(talk, name),
                generation: 0,
                issued: Vec::new(),
                dead_tokens: Vec::new(),
                dead_secrets: Vec::new(),
            }),
            turn: AtomicU64::new(0),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn current(&self) -> Credentials {
        self.known().current.clone()
    }

    /// The path of the client in the management API.
    pub(super) fn path(&self, below: &str) -> String {
        format!("/clients/{}{below}", self.known().current.client_id)
    }

    /// Disables the client. From now on whatever is asked is refused, on any server.
    pub(super) fn disable(&self, talk: &Talk<'_>) {
        let done = talk.change("POST", &self.path("/disable"), &Value::Null);
        assert_eq!(done.status, 200, "{}", done.body);
        self.turn.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn enable(&self, talk: &Talk<'_>) {
        self.turn.fetch_add(1, Ordering::SeqCst);
        let done = talk.change("POST", &self.path("/enable"), &Value::Null);
        assert_eq!(done.status, 200, "{}", done.body);
    }

    /// Removes all tokens. Those that are got afterwards live.
    pub(super) fn remove_all(&self, talk: &Talk<'_>) {
        let done = talk.change("POST", &self.path("/tokens/remove-all"), &Value::Null);
        assert_eq!(done.status, 204, "{}", done.body);
    }

    /// A new secret in place of the old, which is dead from now on; with it, if that is asked for, all tokens that it
    /// got. Tells the old one, and those tokens.
    pub(super) fn rotate(
        &self,
        talk: &Talk<'_>,
        revoke_tokens: bool,
    ) -> (Credentials, Vec<String>) {
        let name = self.known().name.clone();
        let body = json!({ "confirm_name": name, "revoke_tokens": revoke_tokens });
        let path = self.path("/secrets/rotate");
        let done = talk.change("POST", &path, &body);
        assert_eq!(done.status, 200, "{}", done.body);
        let mut known = self.known();
        let new = Credentials {
            client_id: known.current.client_id.clone(),
            client_secret: done.text("/secret/value"),
        };
        let old = std::mem::replace(&mut known.current, new);
        known.generation += 1;
        remember(&mut known.dead_secrets, old.clone());
        if !revoke_tokens {
            // They live on: nobody judges them any more.
            known.issued.clear();
            return (old, Vec::new());
        }
        drop(known);
        (old, self.issued_by_dead_secrets())
    }

    /// Deletes the client and puts another in its place. Tells the dead one, and its tokens.
    pub(super) fn replace(&self, talk: &Talk<'_>) -> (Credentials, Vec<String>) {
        let name = self.known().name.clone();
        let encoded = name.replace(' ', "%20");
        let path = self.path(&format!("?confirm_name={encoded}"));
        let done = talk.change("DELETE", &path, &Value::Null);
        // Asked once more after a 503 that was none: it is gone all the same.
        assert!(matches!(done.status, 204 | 404), "{}", done.body);
        let old = {
            let mut known = self.known();
            let old = known.current.clone();
            known.generation += 1;
            remember(&mut known.dead_secrets, old.clone());
            old
        };
        let tokens = self.issued_by_dead_secrets();
        let new = make_client(talk, &name);
        self.known().current = new;
        (old, tokens)
    }

    pub(super) fn bury(&self, token: String) {
        remember(&mut self.known().dead_tokens, token);
    }

    /// Takes the tokens that a secret got which is dead, all of whose tokens are dead with it.
    pub(super) fn issued_by_dead_secrets(&self) -> Vec<String> {
        let mut known = self.known();
        let generation = known.generation;
        let (dead, live) = std::mem::take(&mut known.issued)
            .into_iter()
            .partition(|(of, _)| *of < generation);
        known.issued = live;
        dead.into_iter().map(|(_, token)| token).collect()
    }

    /// What somebody asks who has nothing to do with what happens to the client, and whether the answer may be.
    /// Returns the number of certain answers.
    pub(super) fn ask(&self, talk: &Talk<'_>, server: usize, round: usize) -> usize {
        let before = self.turn.load(Ordering::SeqCst);
        let (current, generation, token, secret) = {
            let known = self.known();
            let pick = |count: usize| round.wrapping_mul(31) % count.max(1);
            (
                known.current.clone(),
                known.generation,
                known
                    .dead_tokens
                    .get(pick(known.dead_tokens.len()))
                    .cloned(),
                known
                    .dead_secrets
                    .get(pick(known.dead_secrets.len()))
                    .cloned(),
            )
        };
        let mut certain = 0;
        let said = talk.token(server, &current, FORMATS[round / 2 % 2]);
        let after = self.turn.load(Ordering::SeqCst);
        certain += usize::from(said != Said::Busy);
        if let Said::Yes(token) = said {
            assert!(
                before != after || before.is_multiple_of(2),
                "issued while disabled, in turn {before}"
            );
            self.known().issued.push((generation, token));
        }
        if let Some(token) = token {
            let said = talk.active(server, &token);
            assert!(!said.is_yes(), "a dead token is active: {token}");
            certain += usize::from(said != Said::Busy);
        }
        // Wrong secrets are slower than anything else, and may be limited.
        if let Some(secret) = secret.filter(|_| round.is_multiple_of(4)) {
            let said = talk.token(server, &secret, FORMATS[0]);
            assert!(!said.is_yes(), "a dead secret works");
            certain += usize::from(said != Said::Busy);
        }
        certain
    }
}

fn make_client(talk: &Talk<'_>, name: &str) -> Credentials {
    let scopes = [
        "signed.api:read",
        "signed.api:write",
        "opaque.api:read",
        "opaque.api:write",
        "grantor:clients.read",
    ];
    talk.make_client(name, &scopes)
}
