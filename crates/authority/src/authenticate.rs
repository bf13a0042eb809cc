//! Whether a client is who it says: told from what the directory knows of it, without any waiting.
//!
//! One that may be known by a secret that somebody chose takes a slow hash, for which nobody here waits either: that is
//! told as undecided, and asked again once the proof is made.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use grantor_domain::authentication::{AuthenticationFailure, authenticate};
use grantor_domain::chosen_secret::ChosenSecret;
use grantor_domain::grant::check_standing;
use grantor_domain::ids::{ClientId, SecretId, TenantId};
use grantor_domain::suspension::Position;
use grantor_storage::client_secrets::SecretVerifier;
use uuid::Uuid;

use crate::chosen::{Digest, Undecided};
use crate::directory::{Basis, ClientEntry, TenantEntry};
use crate::{Authority, PresentedCredentials, Refusal};

/// Somebody says to be a client.
#[derive(Clone)]
pub(crate) struct Claim {
    /// Of this tenant.
    pub(crate) tenant: TenantId,
    /// By this.
    pub(crate) credentials: PresentedCredentials,
    /// From there.
    pub(crate) ip: Option<IpAddr>,
    /// Then.
    pub(crate) now: DateTime<Utc>,
}

impl Claim {
    /// The client that it is said to be. What is no id at all asks for one that nobody has.
    pub(crate) fn client(&self) -> ClientId {
        let nobody = ClientId::from_uuid(Uuid::nil());
        self.credentials.client_id.parse().unwrap_or(nobody)
    }
}

/// A client that proved who it is, and what the proof rests on.
#[derive(Clone)]
pub(crate) struct Known {
    /// The place in the feed up to which all of it has seen the changes.
    pub(crate) position: Position,
    pub(crate) tenant: Arc<TenantEntry>,
    pub(crate) client: Arc<ClientEntry>,
    /// The secret that proved it, if one did.
    pub(crate) secret: Option<SecretId>,
}

/// What a claim came to.
pub(crate) enum Claimed {
    /// The client is known, and may do something.
    Known(Known),
    /// It may be known by a secret that somebody chose.
    Undecided(Undecided),
}

/// What became of the secret that was presented.
enum Compared {
    By(SecretId),
    ByNone,
    Undecided(Undecided),
}

impl Authority {
    /// Tells whether a client is who it says, and whether it may do anything at all.
    pub(crate) fn authenticate_client(
        &self,
        basis: &Basis,
        claim: &Claim,
        proof: Option<Digest>,
    ) -> Result<Claimed, Refusal> {
        let tenant = basis.tenant.as_ref().ok_or(Refusal::NoSuchTenant)?;
        let matched = match self.compare(basis.client.as_deref(), claim, proof) {
            Compared::By(secret) => Some(secret),
            Compared::ByNone => None,
            Compared::Undecided(undecided) => return Ok(Claimed::Undecided(undecided)),
        };
        let known = basis.client.as_ref();
        authenticate(
            known.map(|known| &known.client),
            claim.credentials.method,
            claim.ip,
            matched.is_some(),
        )?;
        let client = known.ok_or(AuthenticationFailure::Unproved)?;
        check_standing(&tenant.tenant, &client.client)?;
        Ok(Claimed::Known(Known {
            position: basis.position,
            tenant: tenant.clone(),
            client: client.clone(),
            secret: matched,
        }))
    }

    /// Holds what was presented against the secrets that are live. An unknown client costs what a known one does whose
    /// secrets were made here: a comparison is made either way.
    fn compare(
        &self,
        known: Option<&ClientEntry>,
        claim: &Claim,
        proof: Option<Digest>,
    ) -> Compared {
        let owner = claim.client().uuid();
        let presented = &claim.credentials.client_secret;
        let live = known
            .into_iter()
            .flat_map(|known| &known.secrets)
            .filter(|secret| secret.expires_at.is_none_or(|end| end > claim.now));
        let mut matched = None;
        let mut compared = false;
        let mut chosen = Vec::new();
        for secret in live {
            match &secret.verifier {
                SecretVerifier::Keyed(verifier) => {
                    compared = true;
                    match self.keyring.verify(verifier, owner, presented) {
                        Ok(true) => matched = Some(secret.id),
                        Ok(false) => {}
                        Err(unknown) => {
                            log::error!("the verifier of {} can't be read: {unknown}", secret.id);
                        }
                    }
                }
                SecretVerifier::Slow(verifier) => chosen.push((secret.id, verifier)),
            }
        }
        if !compared {
            self.keyring.verify_nobody(owner, presented);
        }
        if let Some(matched) = matched {
            return Compared::By(matched);
        }
        if chosen.is_empty() || !ChosenSecret::could_be(presented) {
            return Compared::ByNone;
        }
        let proved = chosen.iter().find(|(_, verifier)| {
            let digest = self.chosen.digest(verifier, owner, presented);
            proof == Some(digest) || self.chosen.knows(&digest)
        });
        match proved {
            Some((id, _)) => Compared::By(*id),
            None if proof.is_some() => Compared::ByNone,
            None => Compared::Undecided(Undecided {
                owner,
                verifiers: chosen
                    .into_iter()
                    .map(|(_, verifier)| verifier.clone())
                    .collect(),
            }),
        }
    }

    /// Notes that a client and its secret were used.
    pub(crate) fn note_use(&self, known: &Known, now: DateTime<Utc>) {
        let (tenant, client) = (known.tenant.tenant.id, known.client.client.id);
        self.uses.note(tenant, client, client.uuid(), now);
        if let Some(secret) = known.secret {
            self.uses.note(tenant, client, secret.uuid(), now);
        }
    }
}
