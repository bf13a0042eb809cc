//! What is printed when everything runs: where it is, credentials once, and lines to paste.

use std::fmt::Write as _;

use grantor_api_server::bootstrap::Bootstrapped;

use crate::dev::demo::{Demo, DemoClient};

/// The text. Credentials stand in it only in the start that made them.
pub(crate) fn text(
    api_base: &str,
    issuer_base: &str,
    operator: Option<&Bootstrapped>,
    demo: &Demo,
) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    let _ = write(&mut text, api_base, issuer_base, operator, demo);
    text
}

fn write(
    text: &mut String,
    api: &str,
    issuer_base: &str,
    operator: Option<&Bootstrapped>,
    demo: &Demo,
) -> std::fmt::Result {
    let issuer = format!("{issuer_base}/t/{}", demo.tenant);
    writeln!(
        text,
        "\nGrantor is running. Stop it with Ctrl-C; its state is kept.\n"
    )?;
    writeln!(text, "  management API  {api}")?;
    writeln!(text, "  to read         {api}/docs")?;
    writeln!(text, "  demo tenant     {}", demo.tenant)?;
    writeln!(text, "  its issuer      {issuer}\n")?;
    let clients = [
        ("ADMIN", &demo.admin),
        ("MACHINE", &demo.machine),
        ("CHECKER", &demo.checker),
    ];
    let shown = clients
        .iter()
        .filter(|(_, client)| client.secret.is_some())
        .count();
    if shown == 0 && operator.is_none() {
        writeln!(
            text,
            "The credentials were printed at the first start. New ones, which stop the old:"
        )?;
        return writeln!(
            text,
            "  grantor dev --new-secrets   (or: scripts/dev --new-secrets)"
        );
    }
    writeln!(
        text,
        "Credentials, printed this once (client_id:client_secret). Paste them into a shell:\n"
    )?;
    if let Some(operator) = operator {
        writeln!(
            text,
            "OPERATOR='{}:{}'",
            operator.client_id, operator.client_secret
        )?;
        writeln!(text, "PLATFORM='{}'", operator.issuer)?;
    }
    for (name, client) in clients {
        match pair(client) {
            Some(pair) => writeln!(text, "{name}='{pair}'")?,
            None => writeln!(
                text,
                "# {name} ({}) was deleted, so it has no secret",
                client.id
            )?,
        }
    }
    writeln!(text, "API='{api}'")?;
    writeln!(text, "TENANT='{}'", demo.tenant)?;
    writeln!(text, "ISSUER='{issuer}'")?;
    if shown < clients.len() {
        return Ok(());
    }
    writeln!(
        text,
        "\n# Then try, line by line:\n\n\
         # A machine gets a token for the orders API\n\
         TOKEN=$(curl -s -u \"$MACHINE\" -d grant_type=client_credentials -d scope=orders.api:read \"$ISSUER/token\" \
         | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/'); echo \"$TOKEN\"\n\
         # The orders API asks whether it is good\n\
         curl -s -u \"$CHECKER\" -d token=\"$TOKEN\" \"$ISSUER/introspect\"; echo\n\
         # The machine gives it back, and it is good no more\n\
         curl -s -u \"$MACHINE\" -d token=\"$TOKEN\" \"$ISSUER/revoke\"; echo; curl -s -u \"$CHECKER\" -d token=\"$TOKEN\" \"$ISSUER/introspect\"; echo\n\
         # An administrator gets a token for the management API\n\
         ADMIN_TOKEN=$(curl -s -u \"$ADMIN\" -d grant_type=client_credentials -d 'scope=grantor:clients.read grantor:clients.write grantor:audit.read' \"$ISSUER/token\" \
         | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n\
         # ... makes a client, whose secret is shown this once\n\
         curl -s -H \"Authorization: Bearer $ADMIN_TOKEN\" -H 'Content-Type: application/json' \
         -d '{{\"name\":\"Reports\",\"profile\":\"service\",\"owner_contact\":{{\"email\":\"reports@demo.example\"}},\"allowed_scopes\":[\"orders.api:read\"]}}' \
         \"$API/v1/tenants/$TENANT/clients\"; echo\n\
         # ... and reads the log of record\n\
         curl -s -H \"Authorization: Bearer $ADMIN_TOKEN\" \"$API/v1/tenants/$TENANT/audit-events?limit=3\"; echo"
    )?;
    if operator.is_some() {
        writeln!(
            text,
            "# The operator makes a tenant of its own, with a client that administers it\n\
             OPERATOR_TOKEN=$(curl -s -u \"$OPERATOR\" -d grant_type=client_credentials -d scope=grantor:tenants.create \"$PLATFORM/token\" \
             | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n\
             curl -s -H \"Authorization: Bearer $OPERATOR_TOKEN\" -H 'Content-Type: application/json' \
             -d '{{\"name\":\"Acme\",\"owner\":{{\"name\":\"Acme owner\",\"email\":\"owner@acme.example\"}},\"admin_client\":true}}' \
             \"$API/v1/tenants\"; echo"
        )?;
    }
    Ok(())
}

fn pair(client: &DemoClient) -> Option<String> {
    client
        .secret
        .as_ref()
        .map(|secret| format!("{}:{secret}", client.id))
}
