//! A whole life through the API with every secret of it remembered, and secrets sent where they don't belong:
//! then none of them may be found in the database, a dump of it, the log of record, the feed, the metrics,
//! the mails or the log lines.

mod everywhere;
mod life;
mod misplaced;
mod places;

use std::fs;

use grantor_acceptance::{ServerSettings, Tenant, World};

use crate::asking::{hexadecimal, scene_in, until};
use crate::operations::Scene;
use everywhere::drive;
use life::live;
use misplaced::misplace;
use places::{Kept, Log, Places, encoded};

/// Secrets that were given out, and made-up ones, each with what it is.
struct Canaries(Vec<(&'static str, String)>);

impl Canaries {
    fn keep(&mut self, what: &'static str, secret: impl Into<String>) {
        let secret = secret.into();
        assert!(secret.len() >= 30, "{what} is too short to be looked for");
        self.0.push((what, secret));
    }

    /// A made-up secret that looks like one of ours; each is another.
    fn misplaced(&mut self, what: &'static str, prefix: &str) -> String {
        const LETTERS: &[u8; 62] =
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(self.0.len() as u64 + 1);
        let body: String = (0..49)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                char::from(LETTERS[(state >> 33) as usize % LETTERS.len()])
            })
            .collect();
        let secret = format!("{prefix}{body}");
        self.keep(what, secret.clone());
        secret
    }
}

#[test]
fn secret_2_nothing_secret_is_anywhere_but_with_whom_it_was_given_to() {
    let folder = std::env::temp_dir().join(format!("grantor-canary-{}", std::process::id()));
    let log = Log::begin();
    let mut canaries = Canaries(Vec::new());
    let scene = scene_in(World::with(&ServerSettings {
        mail_folder: Some(folder.clone()),
        ..ServerSettings::default()
    }));
    let Scene { world, subject, .. } = &scene;
    let Tenant { admin, .. } = &scene.tenant;
    canaries.keep("the operator's secret", &world.operator.client_secret);
    canaries.keep("the administrator's secret", &admin.client_secret);
    canaries.keep(
        "the administrator's token",
        scene.admin.trim_start_matches("Bearer "),
    );
    canaries.keep("the first secret of a client", &subject.client_secret);
    live(&scene, &mut canaries);
    misplace(&scene, &mut canaries);
    drive(&scene, &mut canaries);
    let sent = || fs::read_dir(&folder).unwrap().flatten().collect::<Vec<_>>();
    until("the mail is there", || !sent().is_empty());
    let mails: Vec<Kept> = sent()
        .iter()
        .map(|file| Kept::new("a mail", fs::read_to_string(file.path()).unwrap()))
        .collect();
    assert!(
        mails.iter().any(|mail| mail.text.contains("hammers")),
        "{mails:?}"
    );
    let places = Places::all(&scene, mails, log.end());
    fs::remove_dir_all(&folder).unwrap();

    assert!(canaries.0.len() > 150, "{} canaries", canaries.0.len());
    let mut found = Vec::new();
    for (what, secret) in &canaries.0 {
        found.extend(places.with(what, secret));
    }
    found.extend(places.with_anything_like_a_secret());
    assert!(
        found.is_empty(),
        "{} leaks:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn the_search_for_canaries_finds_what_is_there() {
    let secret = "gsec_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM";
    let found = |text: &str| {
        let places = Places::of(vec![Kept::new("somewhere", text.to_owned())]);
        places.with("a secret", secret).len()
    };
    assert_eq!(found("nothing, not even gsec_0123"), 0);
    for hidden in [
        secret.to_owned(),
        format!("x{}y", &secret[..30]),
        secret[29..].to_owned(),
        hexadecimal(secret),
        hexadecimal(secret).to_uppercase(),
        encoded(secret),
        encoded(&format!("a{secret}")),
        encoded(&format!("ab{secret}")),
        secret.to_uppercase(),
    ] {
        assert!(found(&hidden) > 0, "{hidden}");
    }
    let like = |text: &str| {
        let places = Places::of(vec![Kept::new("somewhere", text.to_owned())]);
        !places.with_anything_like_a_secret().is_empty()
    };
    assert!(like(&format!("x {secret}")));
    assert!(like(&secret.replace("gsec_", "(gat_")));
    assert!(!like("gsec_0123 gsec_none_this_was_a_dry_run"));
}
