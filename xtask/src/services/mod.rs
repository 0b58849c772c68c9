//! `cargo xtask services`: a broker and a database of this checkout's own, which stay until they are stopped.
//!
//! Standard output has what a script wants, the URLs, a line each; words for people go to standard error.

mod postgres;

use std::{path::Path, process::ExitCode};

use clap::{Args, Subcommand, ValueEnum};
use rabbit_node::{
    VARIABLE,
    standing::{self, Started},
};

use self::postgres::Postgres;
use crate::setup;

#[derive(Debug, Subcommand)]
pub(crate) enum Services {
    /// Install what is missing, start private servers, and print their URLs.
    Start(Which),
    /// Stop them; their data stays.
    Stop(Which),
    /// Print their URLs; exit code 1 where one does not run.
    Status(Which),
    /// Print what tells tests and examples where they are, for `eval`.
    Env(Which),
}

/// Which of them.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// All of them where none is named.
    services: Vec<Service>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Service {
    #[value(name = "rabbitmq")]
    RabbitMq,
    Postgres,
}

/// Where the examples of the documentation look for a database.
const DATABASE_URL: &str = "DATABASE_URL";

pub(crate) fn run(services: &Services) -> anyhow::Result<ExitCode> {
    let folder = standing::folder();
    let (Services::Start(which) | Services::Stop(which) | Services::Status(which) | Services::Env(which)) = services;
    let all = [Service::RabbitMq, Service::Postgres];
    let named = all
        .into_iter()
        .filter(|service| which.services.is_empty() || which.services.contains(service));
    let mut code = ExitCode::SUCCESS;
    let mut found = 0;
    for service in named {
        let name = service.name();
        match services {
            Services::Start(_) => println!("{}", service.start(&folder)?),
            Services::Stop(_) if service.stop(&folder)? => eprintln!("{name} has stopped; its data stays"),
            Services::Stop(_) => eprintln!("no {name} runs in {}", folder.display()),
            Services::Status(_) | Services::Env(_) => {
                let Some(url) = service.url(&folder) else {
                    eprintln!("no {name} runs in {}", folder.display());
                    code = ExitCode::FAILURE;
                    continue;
                };
                found += 1;
                if matches!(services, Services::Env(_)) {
                    println!("export {}='{url}'", service.variable());
                } else {
                    eprintln!("{name} is up");
                    println!("{url}");
                }
            }
        }
    }
    if matches!(services, Services::Env(_)) {
        if found == 0 {
            eprintln!("start them with `cargo xtask services start`");
            return Ok(ExitCode::FAILURE);
        }
        return Ok(ExitCode::SUCCESS);
    }
    Ok(code)
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::RabbitMq => "RabbitMQ",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// What says where it is.
    fn variable(self) -> &'static str {
        match self {
            Self::RabbitMq => VARIABLE,
            Self::Postgres => DATABASE_URL,
        }
    }

    /// Installs it where it is missing, and starts it where it does not run; gives its URL.
    fn start(self, folder: &Path) -> anyhow::Result<String> {
        match self {
            Self::RabbitMq => {
                setup::broker()?;
                Ok(match standing::start(folder)? {
                    Started::Now(running) => {
                        eprintln!(
                            "RabbitMQ is up, process {}, files in {}",
                            running.pid(),
                            folder.display()
                        );
                        running.url
                    }
                    Started::Before(running) => {
                        eprintln!("RabbitMQ was up already, process {}", running.pid());
                        running.url
                    }
                })
            }
            Self::Postgres => {
                setup::database()?;
                let server = Postgres::below(folder)?;
                if server.start()? {
                    eprintln!("PostgreSQL is up, files in {}", server.folder().display());
                } else {
                    eprintln!("PostgreSQL was up already");
                }
                let url = server.url();
                url.ok_or_else(|| anyhow::anyhow!("PostgreSQL has ended, see the log in {}", server.folder().display()))
            }
        }
    }

    /// Stops it; says whether it ran.
    fn stop(self, folder: &Path) -> anyhow::Result<bool> {
        match self {
            Self::RabbitMq => standing::stop(folder),
            // One that is not even installed does not run.
            Self::Postgres => Postgres::below(folder).map_or(Ok(false), |server| server.stop()),
        }
    }

    fn url(self, folder: &Path) -> Option<String> {
        match self {
            Self::RabbitMq => standing::running(folder).map(|running| running.url),
            Self::Postgres => Postgres::below(folder).ok().and_then(|server| server.url()),
        }
    }
}
