//! `cargo xtask services`: a broker of this checkout's own, which stays until it is stopped.
//!
//! Standard output has what a script wants, the URL; words for people go to standard error.

use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use rabbit_node::{
    VARIABLE,
    standing::{self, Started},
};

use crate::setup;

#[derive(Debug, Subcommand)]
pub(crate) enum Services {
    /// Install `RabbitMQ` where it is missing, start a private node, and print its URL.
    Start,
    /// Stop the node; its data stays.
    Stop,
    /// Print the node's URL; exit code 1 where it does not run.
    Status,
    /// Print what tells the tests where it is, for `eval`.
    Env,
}

pub(crate) fn run(services: &Services) -> anyhow::Result<ExitCode> {
    let folder = standing::folder();
    match services {
        Services::Start => {
            setup::broker()?;
            let running = match standing::start(&folder)? {
                Started::Now(running) => {
                    eprintln!(
                        "RabbitMQ is up, process {}, files in {}",
                        running.pid(),
                        folder.display()
                    );
                    running
                }
                Started::Before(running) => {
                    eprintln!("RabbitMQ was up already, process {}", running.pid());
                    running
                }
            };
            println!("{}", running.url);
        }
        Services::Stop if standing::stop(&folder)? => {
            eprintln!("RabbitMQ has stopped; its data stays in {}", folder.display());
        }
        Services::Stop => eprintln!("no RabbitMQ runs in {}", folder.display()),
        Services::Status => {
            let Some(running) = standing::running(&folder) else {
                eprintln!("no RabbitMQ runs in {}", folder.display());
                return Ok(ExitCode::FAILURE);
            };
            eprintln!("RabbitMQ is up, process {}", running.pid());
            println!("{}", running.url);
        }
        Services::Env => {
            let running =
                standing::running(&folder).context("no RabbitMQ runs: start one with `cargo xtask services start`")?;
            println!("export {VARIABLE}='{}'", running.url);
        }
    }
    Ok(ExitCode::SUCCESS)
}
