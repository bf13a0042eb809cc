//! Whether a client is who it says, and everything that was looked at to tell.
//!
//! A secret that was made here is proved within the transaction. One that somebody chose takes a slow hash, and no
//! transaction waits for that: it ends without having told anything, the proof is made, and all is read anew.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use grantor_domain::authentication::{AuthenticationFailure, authenticate};
use grantor_domain::chosen_secret::ChosenSecret;
use grantor_domain::client::Client;
use grantor_domain::grant::check_standing;
use grantor_domain::ids::{ClientId, SecretId, TenantId};
use grantor_domain::suspension::Position;
use grantor_domain::tenant::Tenant;
use grantor_storage::client_secrets::SecretVerifier;
use grantor_storage::{Database, ReadTx, Scope, client_secrets, clients, tenants, tokens};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::chosen::{Digest, Undecided};
use crate::{Authority, Failure, PresentedCredentials, Refusal};

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

/// A client that proved who it is, and what the proof rested on.
pub(crate) struct Authenticated {
    /// Read before everything else, so that a change after it can't have been seen.
    pub(crate) position: Position,
    pub(crate) tenant: Tenant,
    pub(crate) client: Client,
}

/// What one reading came to.
enum Reading<T> {
    /// The client is known, and this is what was read for it.
    Done(T),
    /// It may be known by a secret that somebody chose.
    Undecided(Undecided),
}

impl Authority {
    /// Reads something for a client, once it has proved who it is and may do anything at all.
    pub(crate) async fn read_for_client<T, F>(
        &self,
        database: &Database,
        claim: Claim,
        work: F,
    ) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut ReadTx<'_>, Authenticated) -> Result<T, Refusal> + Clone + Send + 'static,
    {
        let first = self.reading(database, claim.clone(), None, work.clone());
        let undecided = match first.await? {
            Reading::Done(done) => return Ok(done),
            Reading::Undecided(undecided) => undecided,
        };
        let presented = Zeroizing::new(claim.credentials.client_secret.clone());
        let proof = self.chosen.prove(undecided, presented).await;
        let Some(proof) = proof.map_err(Failure::from)? else {
            self.note_unproved_by_choice(&claim);
            return Err(AuthenticationFailure::Unproved.into());
        };
        // All is read anew: what was revoked meanwhile opens nothing.
        match self.reading(database, claim, Some(proof), work).await? {
            Reading::Done(done) => Ok(done),
            Reading::Undecided(_) => Err(AuthenticationFailure::Unproved.into()),
        }
    }

    async fn reading<T, F>(
        &self,
        database: &Database,
        claim: Claim,
        proof: Option<Digest>,
        work: F,
    ) -> Result<Reading<T>, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut ReadTx<'_>, Authenticated) -> Result<T, Refusal> + Send + 'static,
    {
        let authority = self.clone();
        database
            .read(
                Scope::Tenant(claim.tenant),
                move |tx: &mut ReadTx<'_>| match authority.authenticate_client(tx, &claim, proof)? {
                    Reading::Done(who) => {
                        let id = who.client.id;
                        let done = work(tx, who).map(Reading::Done);
                        done.inspect_err(|why| {
                            authority
                                .failures
                                .note_refusal(claim.tenant, id, why, claim.now);
                        })
                    }
                    Reading::Undecided(undecided) => Ok(Reading::Undecided(undecided)),
                },
            )
            .await
    }

    /// Authenticates a client within a transaction, and checks that it may do anything at all.
    fn authenticate_client(
        &self,
        tx: &mut ReadTx<'_>,
        claim: &Claim,
        proof: Option<Digest>,
    ) -> Result<Reading<Authenticated>, Refusal> {
        let Claim {
            credentials: presented,
            ip,
            now,
            ..
        } = claim;
        let position = tokens::position(tx)?;
        let tenant = tenants::find(tx, claim.tenant)?.ok_or(Refusal::NoSuchTenant)?;
        // An unknown client costs what a known one does whose secrets were made here: the same questions are asked,
        // and a comparison is made either way. What is no id at all asks for one that nobody has.
        let nobody = ClientId::from_uuid(Uuid::nil());
        let id: ClientId = presented.client_id.parse().unwrap_or(nobody);
        let owner = id.uuid();
        let client = clients::find(tx, tenant.id, id)?;
        let secrets = client_secrets::live(tx, tenant.id, id, *now)?;
        let mut matched: Option<SecretId> = None;
        let mut compared = false;
        let mut chosen = Vec::new();
        for (secret, verifier) in secrets {
            match verifier {
                SecretVerifier::Keyed(verifier) => {
                    compared = true;
                    match self
                        .keyring
                        .verify(&verifier, owner, &presented.client_secret)
                    {
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
            self.keyring.verify_nobody(owner, &presented.client_secret);
        }
        if matched.is_none() && ChosenSecret::could_be(&presented.client_secret) {
            matched = chosen.iter().find_map(|(id, verifier)| {
                let digest = self
                    .chosen
                    .digest(verifier, owner, &presented.client_secret);
                (proof == Some(digest) || self.chosen.knows(&digest)).then_some(*id)
            });
            if matched.is_none() && proof.is_none() && !chosen.is_empty() {
                let verifiers = chosen.into_iter().map(|(_, verifier)| verifier).collect();
                return Ok(Reading::Undecided(Undecided { owner, verifiers }));
            }
        }
        authenticate(client.as_ref(), presented.method, *ip, matched.is_some()).inspect_err(
            |why| {
                let known = client.as_ref().map(|client| client.id);
                self.failures.note_unproved(tenant.id, known, why, *now);
            },
        )?;
        let (client, secret) = client.zip(matched).ok_or(AuthenticationFailure::Unproved)?;
        check_standing(&tenant, &client)
            .map_err(Refusal::from)
            .inspect_err(|why| {
                self.failures.note_refusal(tenant.id, client.id, why, *now);
            })?;
        self.uses.note(tenant.id, client.id.uuid(), *now);
        self.uses.note(tenant.id, secret.uuid(), *now);
        Ok(Reading::Done(Authenticated {
            position,
            tenant,
            client,
        }))
    }

    /// Counts a wrong guess at secrets that somebody chose: only a client that exists has any.
    fn note_unproved_by_choice(&self, claim: &Claim) {
        if let Ok(client) = claim.credentials.client_id.parse() {
            let why = AuthenticationFailure::Unproved;
            self.failures
                .note_unproved(claim.tenant, Some(client), &why, claim.now);
        }
    }
}
