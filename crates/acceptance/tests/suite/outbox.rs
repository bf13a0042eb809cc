//! Mails leave exactly once for each change that tells of one, and for no other; they are not lost, and nobody
//! reads them in the database.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use grantor_acceptance::{Replica, ServerSettings, World};
use grantor_storage::partitions;
use serde_json::{Value, json};

use crate::feed::Scene;
use crate::outages::site::{until, wait_for};

const REASON: &str = "It hammers the orders API";

/// A folder for mails that is gone with the test.
pub(crate) struct MailFolder(PathBuf);

impl MailFolder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("grantor-outbox-{}-{count}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn settings(&self) -> ServerSettings {
        ServerSettings {
            mail_folder: Some(self.0.clone()),
            ..ServerSettings::default()
        }
    }

    /// The mails that are there.
    fn mails(&self) -> Vec<String> {
        let Ok(files) = fs::read_dir(&self.0) else {
            return Vec::new();
        };
        let paths = files.map(|file| file.expect("a file").path());
        paths
            .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
            .map(|path| fs::read_to_string(path).expect("a mail"))
            .collect()
    }

    pub(crate) fn until(&self, count: usize) -> Vec<String> {
        until("the mails are there", || self.mails().len() >= count);
        let mails = self.mails();
        assert_eq!(mails.len(), count);
        mails
    }
}

impl Drop for MailFolder {
    fn drop(&mut self) {
        // A test that failed may have left none.
        let _gone = fs::remove_dir_all(&self.0);
    }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Words {
    #[diesel(sql_type = Text)]
    words: String,
}

impl Scene {
    /// How many deliveries are so.
    pub(crate) fn deliveries(&self, condition: &str) -> i64 {
        let row: Number = diesel::sql_query(format!(
            "SELECT count(*) AS number FROM deliveries WHERE {condition}"
        ))
        .get_result(&mut self.world.database.superuser())
        .expect("a number");
        row.number
    }

    /// Makes a client whose owner contact this is; tells its id.
    fn owned(&self, name: &str, contact: &Value) -> String {
        let body = json!({ "name": name, "profile": "service", "owner_contact": contact });
        let made = self.post("/clients", &body);
        assert_eq!(made.status, 201, "{}", made.body);
        made.text("/id")
    }

    fn disable(&self, client: &str, reason: &str) {
        let disabled = self.post(
            &format!("/clients/{client}/disable"),
            &json!({ "reason": reason }),
        );
        assert_eq!(disabled.status, 200, "{}", disabled.body);
    }
}

#[test]
fn client_10_the_owner_is_told_the_reason_once_and_nothing_is_told_of_what_did_not_happen() {
    let folder = MailFolder::new();
    let scene = Scene::of(World::with(&folder.settings()));
    let contact = json!({ "name": "Ada", "email": "ada@acme.example" });
    let client = scene.owned("Nightly export", &contact);
    let body = json!({ "reason": REASON }).to_string();
    let disable = |query: &str, headers: &[(&str, &str)], body: &str, status: u16| {
        let path = format!("/clients/{client}/disable{query}");
        let url = scene.url(&scene.world.replica, &path);
        let mut all = vec![
            ("authorization", scene.admin.as_str()),
            ("content-type", "application/json"),
        ];
        all.extend_from_slice(headers);
        let answer = scene.world.http.send("POST", &url, &all, body.as_bytes());
        assert_eq!(answer.status, status, "{}", answer.body);
    };
    disable("?dry_run=true", &[], &body, 200);
    disable("", &[("if-match", "\"999\"")], &body, 412);
    disable("", &[], r#"{"reason":""}"#, 422);
    disable("?unknown=1", &[], &body, 422);
    disable("", &[], "{}", 200);
    // Disabled it is: to disable it again changes nothing, whatever the reason.
    disable("", &[], &body, 200);
    assert_eq!(scene.deliveries("true"), 0);

    let url = scene.url(&scene.world.replica, &format!("/clients/{client}/enable"));
    let headers = [("authorization", scene.admin.as_str())];
    let enabled = scene.world.http.send("POST", &url, &headers, b"");
    assert_eq!(enabled.status, 200, "{}", enabled.body);
    // The same key is the same request, however often it comes.
    let key = [("idempotency-key", "7f1c9a52-disable-once")];
    disable("", &key, &body, 200);
    disable("", &key, &body, 200);
    disable("", &[], &body, 200);
    assert_eq!(scene.deliveries("true"), 1);
    until("it is sent", || {
        scene.deliveries("delivered_at IS NOT NULL") == 1
    });
    let mails = folder.until(1);
    let (head, text) = mails[0].split_once("\r\n\r\n").expect("a head and a text");
    assert!(head.contains("To: Ada <ada@acme.example>\r\n"), "{head}");
    assert!(
        head.contains("Subject: Nightly export was disabled\r\n"),
        "{head}"
    );
    assert!(text.contains(REASON) && text.contains(&client), "{text}");
}

#[test]
fn two_servers_share_the_work_and_do_nothing_twice() {
    const CLIENTS: usize = 40;
    let folder = MailFolder::new();
    let scene = Scene::of(World::with(&folder.settings()));
    let other = scene.world.another_replica_with(&folder.settings());
    let replicas = [&scene.world.replica, &other];
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (scene, replica): (_, &Replica) = (&scene, replicas[thread % 2]);
            scope.spawn(move || {
                for number in (0..CLIENTS).filter(|number| number % 4 == thread) {
                    let client = scene.create_on(replica, &format!("Client {number}"));
                    let path = format!("/clients/{client}/disable");
                    let body = json!({ "reason": format!("Reason {number}.") });
                    let headers = [("authorization", scene.admin.as_str())];
                    let url = scene.url(replica, &path);
                    let answer = scene.world.http.post_json(&url, &headers, &body);
                    assert_eq!(answer.status, 200, "{}", answer.body);
                }
            });
        }
    });
    let all = i64::try_from(CLIENTS).expect("a number");
    until("all are sent", || {
        scene.deliveries("delivered_at IS NOT NULL") == all
    });
    let mails = folder.until(CLIENTS);
    for number in 0..CLIENTS {
        let reason = format!("Reason {number}.");
        let telling = mails.iter().filter(|mail| mail.contains(&reason)).count();
        assert_eq!(telling, 1, "{reason}");
    }
    // Each was taken by one server, once.
    assert_eq!(scene.deliveries("attempts <> 1"), 0);
}

#[test]
fn what_can_not_be_sent_is_tried_again_in_its_time_and_not_lost() {
    let folder = MailFolder::new();
    let scene = Scene::of(World::with(&folder.settings()));
    let contact = json!({ "email": "ada@acme.example" });
    let (first, second) = (
        scene.owned("First", &contact),
        scene.owned("Second", &contact),
    );
    fs::remove_dir(&folder.0).expect("the folder gone");
    for (tries, pause) in [(1, 1), (2, 2), (3, 4)] {
        if tries == 1 {
            scene.disable(&first, REASON);
        } else {
            scene.world.advance(TimeDelta::minutes(pause / 2));
        }
        let failed =
            format!("attempts = {tries} AND leased_until IS NULL AND last_error IS NOT NULL");
        until("it was tried in vain", || scene.deliveries(&failed) == 1);
        let due = format!(
            "next_attempt_at = created_at + interval '{} minutes'",
            2 * pause - 1
        );
        assert_eq!(scene.deliveries(&due), 1, "after {tries}");
    }
    fs::create_dir(&folder.0).expect("the folder back");
    // What comes now is sent at once; what waits, waits for its time.
    scene.disable(&second, "The second");
    let mails = folder.until(1);
    assert!(mails[0].contains("The second"));
    assert_eq!(scene.deliveries("delivered_at IS NULL AND attempts = 3"), 1);
    scene.world.advance(TimeDelta::minutes(4));
    let mails = folder.until(2);
    assert_eq!(mails.iter().filter(|mail| mail.contains(REASON)).count(), 1);
    until("both are settled", || {
        scene.deliveries("delivered_at IS NOT NULL") == 2
    });
}

#[test]
fn what_a_server_took_and_did_not_send_is_sent_by_another() {
    let folder = MailFolder::new();
    // Nobody sends yet: it waits.
    let scene = Scene::new();
    let contact = json!({ "email": "ada@acme.example" });
    let (first, second) = (
        scene.owned("First", &contact),
        scene.owned("Second", &contact),
    );
    scene.disable(&first, REASON);
    // As a server leaves it that was killed while it sent.
    scene.sql(
        "UPDATE deliveries SET attempts = 1, leased_until = next_attempt_at + interval '15 minutes'",
    );
    let _sending = scene.world.another_replica_with(&folder.settings());
    scene.disable(&second, "The second");
    let mails = folder.until(1);
    assert!(mails[0].contains("The second"));
    scene.world.advance(TimeDelta::minutes(15));
    let mails = folder.until(2);
    assert!(mails.iter().any(|mail| mail.contains(REASON)));
}

#[test]
fn nobody_reads_a_mail_in_the_database_and_in_the_end_it_is_gone() {
    let folder = MailFolder::new();
    let scene = Scene::of(World::with(&folder.settings()));
    let contact = json!({ "name": "Ada Lovelace", "email": "ada@acme.example" });
    let (sent, unsent) = (
        scene.owned("Nightly export", &contact),
        scene.owned("Daily export", &contact),
    );
    scene.disable(&sent, REASON);
    folder.until(1);
    fs::remove_dir_all(&folder.0).expect("the folder gone");
    scene.disable(&unsent, REASON);
    until("it was tried in vain", || {
        scene.deliveries("last_error IS NOT NULL") == 1
    });
    assert_eq!(scene.deliveries("delivered_at IS NOT NULL"), 1);
    // All of each row, as text and what is binary as the text that it may be.
    let dump: Vec<Words> = diesel::sql_query(
        "SELECT to_jsonb(deliveries)::text || encode(sealed_payload, 'escape') AS words FROM deliveries",
    )
    .load(&mut scene.world.database.superuser())
    .expect("a dump");
    assert_eq!(dump.len(), 2);
    for Words { words } in &dump {
        let words = words.to_lowercase();
        let hidden = [
            "lovelace",
            "acme.example",
            "hammers",
            "orders",
            "export",
            "disabled",
            "subject",
        ];
        for word in hidden {
            assert!(!words.contains(word), "{word} in {words}");
        }
    }
    let keep = || {
        let database = scene.world.storage();
        wait_for(partitions::keep(&database, scene.world.now())).expect("a round of keeping")
    };
    scene.world.advance(TimeDelta::days(6));
    keep();
    assert_eq!(scene.deliveries("true"), 2);
    scene.world.advance(TimeDelta::days(3));
    assert!(keep().dropped > 0);
    assert_eq!(scene.deliveries("true"), 0);
}

#[test]
fn nobody_writes_headers_of_a_mail() {
    let folder = MailFolder::new();
    let scene = Scene::of(World::with(&folder.settings()));
    let good = json!({ "name": "Export",
        "profile": "service", "owner_contact": { "name": "Ada", "email": "ada@acme.example" } });
    // What would begin a line of its own can't be stored.
    for pointer in ["/name", "/owner_contact/name", "/owner_contact/email"] {
        for ending in ["\r\n", "\n", "\r", "\u{0}", "\u{85}", "\u{2028}"] {
            let mut bad = good.clone();
            let field = bad.pointer_mut(pointer).expect("a field");
            let text = field.as_str().expect("a text");
            *field = json!(format!("{text}{ending}Bcc: eve@evil.example"));
            let answer = scene.post("/clients", &bad);
            assert_eq!(answer.status, 422, "{bad}: {}", answer.body);
            assert_eq!(answer.text("/errors/0/pointer"), pointer, "{}", answer.body);
        }
    }
    // What looks like more than it is stays what it is.
    let client = scene.owned(
        "=?utf-8?B?Qmtj?= Bcc: eve@evil.example",
        &json!({ "name": "\"Ada\" <eve@evil.example>,", "email": "ada@acme.example" }),
    );
    scene.disable(
        &client,
        "None\n\n.\nBcc: eve@evil.example\nTo: eve@evil.example",
    );
    let mails = folder.until(1);
    let (head, text) = mails[0].split_once("\r\n\r\n").expect("a head and a text");
    let names: Vec<_> = head
        .split("\r\n")
        .filter(|line| !line.starts_with(' '))
        .map(|line| line.split_once(": ").expect("a header").0)
        .collect();
    let expected = [
        "Date",
        "From",
        "To",
        "Message-ID",
        "Subject",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    ];
    assert_eq!(names, expected, "{head}");
    assert!(!head.contains("eve@evil.example"), "{head}");
    assert!(head.contains(" <ada@acme.example>\r\n"), "{head}");
    let word = head
        .split("Subject: =?utf-8?B?")
        .nth(1)
        .and_then(|rest| rest.split("?=").next())
        .expect("an encoded word");
    let word = STANDARD.decode(word).expect("base64");
    assert!(word.starts_with(b"=?utf-8?B?Qmtj?="), "{head}");
    assert!(text.contains("    Bcc: eve@evil.example\r\n"), "{text}");

    // Not even what got into the database by another way is written into a mail.
    let other = scene.owned("Other", &json!({ "email": "ada@acme.example" }));
    scene.sql("UPDATE clients SET name = E'Other\\nBcc: eve@evil.example' WHERE name = 'Other'");
    let path = format!("/clients/{other}/disable");
    let answer = scene.post(&path, &json!({ "reason": REASON }));
    assert_eq!(answer.status, 500, "{}", answer.body);
    assert_eq!(scene.deliveries("true"), 1);
}

#[test]
fn every_address_that_is_taken_can_be_written_to() {
    let folder = MailFolder::new();
    let scene = Scene::of(World::with(&folder.settings()));
    let long = format!("{}@example.com", "a".repeat(64));
    let addresses = [
        "ada@acme.example",
        "ada@localhost",
        "o'brien+tag=x/y@example.com",
        "a.b_c-d@sub.example.co",
        "{ada}!#$%&*?^`|~@example.com",
        "ada@münchen.example",
        "zoë@example.com",
        "名@例え.example",
        "ada@192.0.2.7",
        "a..b@example.com",
        ".ada@example.com",
        "ada.@example.com",
        "ada@ex_ample.com",
        "\"ada lovelace\"@example.com",
        "ada@[192.0.2.7]",
        &long,
    ];
    let names = ["名".repeat(100), "\"".repeat(100), "x".to_owned()];
    let mut taken = Vec::new();
    for (number, address) in addresses.iter().enumerate() {
        let name = &names[number % names.len()];
        let body = json!({ "name": name, "profile": "service", "owner_contact": { "name": name, "email": address } });
        let made = scene.post("/clients", &body);
        if made.status == 201 {
            let reason = "ä\n".repeat(249);
            scene.disable(&made.text("/id"), reason.trim_end());
            taken.push(*address);
        } else {
            assert_eq!(made.text("/errors/0/pointer"), "/owner_contact/email");
        }
    }
    assert!(taken.len() >= 6, "{taken:?}");
    let all = i64::try_from(taken.len()).expect("a number");
    until("all are settled", || {
        scene.deliveries("delivered_at IS NOT NULL OR failed_at IS NOT NULL") == all
    });
    assert_eq!(scene.deliveries("failed_at IS NOT NULL"), 0, "{taken:?}");
}
