//! `grantor dev`: a private PostgreSQL, migrations, both servers and a demo tenant, in one process.

mod demo;
mod folder;
mod welcome;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use grantor_api_server::bootstrap::{Bootstrapped, Outcome, bootstrap, new_operator_secret};
use grantor_api_server::serve::Own;
use grantor_foundation::Foundation;
use grantor_keys::SystemEntropy;
use grantor_local_postgres::LocalPostgres;
use grantor_mail::Mailbox;
use grantor_server_kit::config::{self, names};
use grantor_server_kit::{
    ApiArgs, ApiSettings, CommonArgs, CommonSettings, SecretText, SystemClock, TokenArgs,
    TokenSettings, bind, logging, shutdown_signal,
};
use grantor_server_kit::{MailRoute, MailSettings};
use grantor_storage::migrate;
use tokio::sync::watch;

use crate::bootstrap::api;
use crate::dev::folder::Folder;
use crate::failure::Failure;
use crate::owner::OwnerArgs;
use crate::terminal::say;

/// The names in the private PostgreSQL.
const OWNER: &str = "grantor_owner";
const SERVER: &str = "grantor_server";
const DATABASE: &str = "grantor";

/// How to start everything.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    owner: OwnerArgs,
    /// Where the private PostgreSQL, the master key and the demo are kept.
    #[arg(long, env = "GRANTOR_FOLDER", default_value = ".grantor")]
    folder: PathBuf,
    /// Make new secrets for the operator and the demo's clients, and print them; the old ones stop.
    #[arg(long)]
    new_secrets: bool,
}

struct Listeners {
    api: TcpListener,
    api_operations: TcpListener,
    token: TcpListener,
    token_operations: TcpListener,
}

pub(crate) async fn run(args: DevArgs) -> Result<(), Failure> {
    let ((mut common, mut api_settings), token_settings) = config::all(
        config::all(args.common.resolve(false), args.api.resolve()),
        args.token.resolve(),
    )?;
    if args.common.print_config {
        let all = [
            common.describe(),
            api_settings.describe(),
            token_settings.describe(),
        ]
        .concat();
        say(&config::render(&all));
        return Ok(());
    }
    logging::init(&common.log_filter, common.log_format)?;
    // The ports come first: when one is taken, nothing else was begun.
    let listeners = listen(&api_settings, &token_settings)?;
    let folder = Folder::open(&args.folder)?;
    let mut postgres = None;
    let owner_url = if common.database_url.is_some() {
        args.owner.url()?
    } else {
        let server = start_postgres(&folder)?;
        common.database_url = Some(SecretText::from(server.url(SERVER, DATABASE)));
        let owner = server.url(OWNER, DATABASE);
        postgres = Some(server);
        owner
    };
    // A private PostgreSQL holds the folder by now, so of two first starts at once only one makes a key.
    if common.master_key.is_none() {
        common.master_key = Some(folder.master_key()?);
    }
    if api_settings.mail.is_none() {
        api_settings.mail = Some(mail_folder(&folder)?);
    }
    let served = serve(
        &args,
        (&common, &api_settings),
        listeners,
        &folder,
        &owner_url,
        &mut postgres,
    )
    .await;
    if let Some(server) = postgres {
        log::info!("stopping PostgreSQL");
        let stopped = server.stop();
        // What ended the service says more than what followed from it.
        served?;
        stopped?;
        return Ok(());
    }
    served
}

fn listen(api: &ApiSettings, token: &TokenSettings) -> Result<Listeners, Failure> {
    Ok(Listeners {
        api: bind(api.listen, names::API_LISTEN.option, names::API_LISTEN.env)?,
        api_operations: bind(
            api.operations_listen,
            names::API_OPERATIONS_LISTEN.option,
            names::API_OPERATIONS_LISTEN.env,
        )?,
        token: bind(
            token.listen,
            names::TOKEN_LISTEN.option,
            names::TOKEN_LISTEN.env,
        )?,
        token_operations: bind(
            token.operations_listen,
            names::TOKEN_OPERATIONS_LISTEN.option,
            names::TOKEN_OPERATIONS_LISTEN.env,
        )?,
    })
}

fn start_postgres(folder: &Folder) -> Result<LocalPostgres, Failure> {
    log::info!(
        "starting a private PostgreSQL in {}",
        folder.path().display()
    );
    let server = LocalPostgres::start(&grantor_local_postgres::Options::new(folder.path()))?;
    if let Some(place) = server.relocated() {
        log::warn!(
            "the database's user can't reach {}, so its data is in {}",
            folder.path().display(),
            place.display()
        );
    }
    migrate::prepare(
        &server.url(grantor_local_postgres::superuser(), "postgres"),
        OWNER,
        DATABASE,
    )?;
    Ok(server)
}

async fn serve(
    args: &DevArgs,
    (common, api_settings): (&CommonSettings, &ApiSettings),
    listeners: Listeners,
    folder: &Folder,
    owner_url: &str,
    postgres: &mut Option<LocalPostgres>,
) -> Result<(), Failure> {
    for name in migrate::up(owner_url)? {
        log::info!("applied migration {name}");
    }
    if postgres.is_some() {
        migrate::admit_server_role(owner_url, SERVER, None)?;
    } else if let Some(url) = &common.database_url {
        grantor_foundation::check_fitness(url.expose()).await?;
    }

    let owner_api = api(owner_url, common)?;
    let begun = bootstrap(&owner_api).await?;
    // A wrong master key is refused here, before a secret is made under it and the old ones are stopped.
    let entropy = Arc::new(SystemEntropy::default());
    let foundation = Foundation::open(common, Arc::new(SystemClock), entropy).await?;
    let operator = match begun {
        Outcome::Done(made) => Some(made),
        Outcome::AlreadyDone if args.new_secrets => new_operator_secret(&owner_api).await?,
        Outcome::AlreadyDone => None,
    };
    let demo = demo::prepare(&owner_api, folder, args.new_secrets).await?;
    // The connections of the owner are closed before anything is served.
    drop(owner_api);

    let (stop, stopped) = watch::channel(false);
    let wait = |mut stopped: watch::Receiver<bool>| async move {
        // An error means that the sender is gone, which is the end as well.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let api_server = grantor_api_server::serve::serve(
        &foundation,
        common,
        Own::of(api_settings)?,
        listeners.api,
        listeners.api_operations,
        wait(stopped.clone()),
    )?;
    let token_server = grantor_token_server::serve::serve(
        &foundation,
        common,
        listeners.token,
        listeners.token_operations,
        wait(stopped.clone()),
    )?;
    let ending = async {
        let unless_it_dies = async {
            greet(common, operator.as_ref(), &demo);
            postgres_died(postgres).await
        };
        let why = tokio::select! {
            // In this order, so that who reads the greeting can stop everything in good order at once.
            biased;
            signal = shutdown_signal() => Ok(signal),
            died = unless_it_dies => Err(died),
        };
        if let Ok(signal) = &why {
            log::info!("{signal} received, stopping");
        }
        stop.send_replace(true);
        why
    };
    let (api_server, token_server, (), (), why) = tokio::join!(
        api_server,
        token_server,
        foundation.keep_partitions(wait(stopped.clone())),
        foundation.keep_signing_keys(wait(stopped)),
        ending
    );
    api_server.map_err(Failure::io("the management API's server"))?;
    token_server.map_err(Failure::io("the token server"))?;
    why.map(|_signal| ())
}

/// Without a mail server mails go into a folder, where whoever tries things out finds them.
fn mail_folder(folder: &Folder) -> Result<MailSettings, Failure> {
    let from = Mailbox::parse("Grantor <grantor@demo.example>")
        .map_err(|error| Failure::Told(format!("the sender of mails {error}")))?;
    Ok(MailSettings {
        from,
        route: MailRoute::Folder(folder.path().join("mail")),
    })
}

fn greet(common: &CommonSettings, operator: Option<&Bootstrapped>, demo: &demo::Demo) {
    let text = welcome::text(
        common.api_base.as_str(),
        common.issuer_base.as_str(),
        operator,
        demo,
    );
    say(&text);
}

/// Completes when the private PostgreSQL has ended without being told to.
async fn postgres_died(postgres: &mut Option<LocalPostgres>) -> Failure {
    let Some(server) = postgres else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Ok(Some(status)) = server.try_exit() {
            return Failure::Told(format!(
                "the private PostgreSQL ended unexpectedly ({status}); its log is {}",
                server.log_file().display()
            ));
        }
    }
}
