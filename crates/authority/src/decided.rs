//! The way to a decision about a client: a yes out of memory, to be confirmed by what follows; a no only after what it
//! rests on was loaded anew.

use grantor_domain::authentication::AuthenticationFailure;
use grantor_domain::ids::TenantId;
use zeroize::Zeroizing;

use crate::allowance::{Spent, Taken};
use crate::authenticate::{Claim, Claimed, Known};
use crate::chosen::{Digest, NotProved};
use crate::directory::Basis;
use crate::{Authority, Failure, Refusal};

/// How often a decision is made anew when what it rested on has changed meanwhile.
pub(crate) const ATTEMPTS: u32 = 5;

/// What somebody is told whose decisions never hold.
pub(crate) const TOO_FAST: &str = "the client changes faster than it can be answered";

/// What one attempt came to.
pub(crate) enum Attempt<T> {
    Yes(Known, T),
    No(Refusal),
    Undecided(crate::chosen::Undecided),
}

impl From<Spent> for Refusal {
    fn from(spent: Spent) -> Self {
        Self::Unconfirmed {
            retry_after: spent.retry_after,
        }
    }
}

impl From<NotProved> for Refusal {
    fn from(not_proved: NotProved) -> Self {
        match not_proved {
            NotProved::NotHashed(why) => Failure::from(why).into(),
            NotProved::Spent(spent) => spent.into(),
        }
    }
}

impl Authority {
    /// Decides something for a client, once it has proved who it is and may do anything at all.
    pub(crate) async fn decided<T>(
        &self,
        claim: &Claim,
        decide: impl Fn(&Known) -> Result<T, Refusal>,
    ) -> Result<(Known, T), Refusal> {
        let (tenant, client) = (claim.tenant, claim.client());
        let basis = self.directory.basis(tenant, client, claim.now).await?;
        if let Attempt::Yes(known, decided) = self.attempt(&basis, claim, None, &decide) {
            return Ok((known, decided));
        }
        let taken = self.budget_for_a_no(claim)?;
        let basis = if basis.is_fresh {
            basis
        } else {
            self.directory.fresh(tenant, client, claim.now).await?
        };
        let decided = self.decided_on(&basis, claim, decide).await;
        // A yes is no no, and what failed of ours isn't one either.
        if matches!(decided, Ok(_) | Err(Refusal::Failed(_))) {
            taken.give_back();
        }
        decided
    }

    /// Takes what confirming a no costs from the budgets of whoever asks. A no that can't be confirmed is none: whoever has
    /// spent their budget is told to wait.
    pub(crate) fn budget_for_a_no(
        &self,
        claim: &Claim,
    ) -> Result<Taken<(TenantId, String)>, Refusal> {
        // Nobody's id is longer, and a long text is not worth the memory.
        let client = claim.credentials.client_id.chars().take(40).collect();
        Ok(self.confirmations.take(claim.ip, (claim.tenant, client))?)
    }

    /// The same, on what is loaded anew in any case.
    pub(crate) async fn decided_anew<T>(
        &self,
        claim: &Claim,
        decide: impl Fn(&Known) -> Result<T, Refusal>,
    ) -> Result<(Known, T), Refusal> {
        let fresh = self
            .directory
            .fresh(claim.tenant, claim.client(), claim.now);
        self.decided_on(&fresh.await?, claim, decide).await
    }

    /// Decides on what was loaded just now: here a no may be told.
    pub(crate) async fn decided_on<T>(
        &self,
        basis: &Basis,
        claim: &Claim,
        decide: impl Fn(&Known) -> Result<T, Refusal>,
    ) -> Result<(Known, T), Refusal> {
        let attempt = match self.attempt(basis, claim, None, &decide) {
            Attempt::Undecided(undecided) => {
                let presented = Zeroizing::new(claim.credentials.client_secret.clone());
                let proof = self.chosen.prove(undecided, presented, claim.ip).await;
                match proof? {
                    Some(proof) => self.attempt(basis, claim, Some(proof), &decide),
                    None => Attempt::No(AuthenticationFailure::Unproved.into()),
                }
            }
            decided => decided,
        };
        let refusal = match attempt {
            Attempt::Yes(known, decided) => return Ok((known, decided)),
            Attempt::No(refusal) => refusal,
            Attempt::Undecided(_) => AuthenticationFailure::Unproved.into(),
        };
        self.note_no(basis, claim, &refusal);
        Err(refusal)
    }

    /// Counts what was refused (`client_10`).
    fn note_no(&self, basis: &Basis, claim: &Claim, refusal: &Refusal) {
        let known = basis.client.as_ref().map(|known| known.client.id);
        match (refusal, known) {
            (Refusal::Unauthenticated(why), known) => {
                self.failures
                    .note_unproved(claim.tenant, known, why, claim.now);
            }
            (refusal, Some(client)) => {
                self.failures
                    .note_refusal(claim.tenant, client, refusal, claim.now);
            }
            (_, None) => {}
        }
    }

    /// Decides on what is known now, without any waiting.
    pub(crate) fn attempt<T>(
        &self,
        basis: &Basis,
        claim: &Claim,
        proof: Option<Digest>,
        decide: &impl Fn(&Known) -> Result<T, Refusal>,
    ) -> Attempt<T> {
        match self.authenticate_client(basis, claim, proof) {
            Ok(Claimed::Undecided(undecided)) => Attempt::Undecided(undecided),
            Ok(Claimed::Known(known)) => {
                let decided = decide(&known);
                // Who is known but gets nothing has been here too. Where it is not certain yet that they are known, those
                // who confirm it note that.
                if basis.is_fresh {
                    self.note_use(&known, claim.now);
                }
                match decided {
                    Ok(decided) => Attempt::Yes(known, decided),
                    Err(refusal) => Attempt::No(refusal),
                }
            }
            Err(refusal) => Attempt::No(refusal),
        }
    }
}
