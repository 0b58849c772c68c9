//! `outrigger schema`: the JSON Schema of the configuration.

use std::process::ExitCode;

use crate::{config::Root, output};

/// Prints the schema, for editors and for the reference page.
pub fn schema() -> anyhow::Result<ExitCode> {
    let mut text = serde_json::to_string_pretty(&chassis::config::schema::<Root>())?;
    text.push('\n');
    output::print(text)?;
    Ok(ExitCode::SUCCESS)
}
