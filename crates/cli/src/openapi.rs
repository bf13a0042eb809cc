//! `grantor openapi`: the documents that describe both servers, printed, written or compared.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::failure::Failure;
use crate::terminal::say;

/// Where the management API is unless told otherwise.
const DEFAULT_BASE: &str = "http://127.0.0.1:8080";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// The management API.
    Management,
    /// The token service.
    Token,
}

/// Which document, and what to do with it.
#[derive(Debug, Args)]
pub(crate) struct OpenapiArgs {
    /// The document to print.
    #[arg(value_enum, default_value = "management", conflicts_with_all = ["write", "check"])]
    which: Which,
    /// Write all documents into this folder.
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
    /// Fail unless the documents in this folder are those of this program.
    #[arg(long, value_name = "FOLDER", conflicts_with = "write")]
    check: Option<PathBuf>,
}

impl Which {
    const ALL: [Self; 2] = [Self::Management, Self::Token];

    fn file(self) -> &'static str {
        match self {
            Self::Management => "management.json",
            Self::Token => "token.json",
        }
    }

    fn text(self) -> Result<String, Failure> {
        let written = match self {
            Self::Management => {
                let document = grantor_api_server::openapi::document(DEFAULT_BASE);
                serde_json::to_string_pretty(&document)
            }
            Self::Token => grantor_token_server::routes::document().to_pretty_json(),
        };
        let mut text = written.map_err(|error| {
            Failure::Told(format!("the document can't be written as JSON: {error}"))
        })?;
        text.push('\n');
        Ok(text)
    }
}

pub(crate) fn run(args: &OpenapiArgs) -> Result<(), Failure> {
    if let Some(folder) = &args.write {
        std::fs::create_dir_all(folder)
            .map_err(Failure::io(format!("{} can't be made", folder.display())))?;
        for which in Which::ALL {
            let path = folder.join(which.file());
            std::fs::write(&path, which.text()?)
                .map_err(Failure::io(format!("{} can't be written", path.display())))?;
            say(&format!("wrote {}", path.display()));
        }
        return Ok(());
    }
    if let Some(folder) = &args.check {
        for which in Which::ALL {
            let path = folder.join(which.file());
            let there = std::fs::read_to_string(&path)
                .map_err(Failure::io(format!("{} can't be read", path.display())))?;
            if there != which.text()? {
                return Err(Failure::Told(format!(
                    "{} is not what the code says; run `grantor openapi --write {}`",
                    path.display(),
                    folder.display()
                )));
            }
        }
        say("the documents are what the code says");
        return Ok(());
    }
    say(args.which.text()?.trim_end());
    Ok(())
}
