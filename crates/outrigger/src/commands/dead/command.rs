//! Opens the error-end for the command that is asked for.

use std::{process::ExitCode, sync::Arc};

use chassis::config::Loaded;
use queues::Queue;

use super::{
    again,
    ledger::{self, Ledger},
    ls, show,
};
use crate::{cli::Dead, config::Root, open};

/// Works on the messages that failed.
pub async fn dead(command: &Dead, loaded: &Loaded<Root>) -> anyhow::Result<ExitCode> {
    let queue = open::existing(loaded).await?;
    let end = loaded.value.error_end();
    let result = match queue.exists(&end).await {
        Err(error) => Err(error.into()),
        Ok(false) => Err(open::no_queue(&*queue, &end, loaded).await),
        Ok(true) if queue.promises().browse => work(command, &queue, &end, None, loaded).await,
        Ok(true) => match ledger::fill(&*queue, &end, loaded).await {
            Ok(Ledger { queue: ledger, name }) => {
                let result = work(command, &ledger, &name, Some(&queue), loaded).await;
                ledger.close().await;
                result
            }
            Err(error) => Err(error),
        },
    };
    queue.close().await;
    result
}

/// Works on the failed messages in queue `end` of `letters`; `actors` is where their actors' queues are, if elsewhere.
async fn work(
    command: &Dead,
    letters: &Arc<dyn Queue>,
    end: &str,
    actors: Option<&Arc<dyn Queue>>,
    loaded: &Loaded<Root>,
) -> anyhow::Result<ExitCode> {
    match command {
        Dead::Ls(args) => ls::ls(args, &**letters, end).await,
        Dead::Show(args) => show::show(args, &**letters, end).await,
        Dead::Redrive(args) => again::redrive(args, letters, end, actors, &loaded.value).await,
        Dead::Drop(args) => again::drop(args, letters, end).await,
    }
}
