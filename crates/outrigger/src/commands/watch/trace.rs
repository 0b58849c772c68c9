//! `outrigger trace`: one trace as a tree.

use std::process::ExitCode;

use super::{
    admin::{Admin, quoted},
    bars::draw,
    reading::Trace,
};
use crate::{
    cli,
    output::{Out, print},
    terminal::{self, Paint},
};

/// Prints a trace that the process knows.
pub async fn trace(args: &cli::Trace, admin: &Admin) -> anyhow::Result<ExitCode> {
    let path = format!("/traces/{}", quoted(&args.id));
    let body = admin.get(&path).await?.bytes().await?;
    if args.output.json() {
        let mut out = Out::new();
        out.line(&body)?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = std::str::from_utf8(&body).map_err(|error| admin.foreign(error))?;
    let trace = Trace::read(text).map_err(|error| admin.foreign(error))?;
    print(draw(&trace, terminal::width(), Paint::stdout()))?;
    Ok(ExitCode::SUCCESS)
}
