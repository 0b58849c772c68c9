//! Opens the error-end for the command that is asked for.

use std::process::ExitCode;

use chassis::config::Loaded;

use super::{again, ls, show};
use crate::{cli::Dead, config::Root, open};

/// Works on the messages that failed.
pub async fn dead(command: &Dead, loaded: &Loaded<Root>) -> anyhow::Result<ExitCode> {
    let queue = open::existing(loaded).await?;
    let end = loaded.value.error_end();
    let result = match queue.exists(&end).await {
        Err(error) => Err(error.into()),
        Ok(false) => Err(open::no_queue(&*queue, &end, loaded).await),
        Ok(true) => match command {
            Dead::Ls(args) => ls::ls(args, &*queue, &end).await,
            Dead::Show(args) => show::show(args, &*queue, &end).await,
            Dead::Redrive(args) => again::redrive(args, &queue, &loaded.value).await,
            Dead::Drop(args) => again::drop(args, &queue, &loaded.value).await,
        },
    };
    queue.close().await;
    result
}
