//! `outrigger init`: a folder with a handler, a configuration and a test that run at once.

use std::{
    borrow::Cow,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{self, Path},
    process::ExitCode,
};

use wire::valid_actor;

use crate::{
    cli::Init,
    exit::{Code, Failure},
    human::list,
    output::print,
    terminal::Paint,
};

/// Makes the folder, and says what to do next.
///
/// # Errors
/// A file that would be written is there already; nothing is written then.
pub fn init(args: &Init) -> anyhow::Result<ExitCode> {
    let folder = path::absolute(&args.dir).map_err(|error| cannot(&args.dir, error))?;
    fs::create_dir_all(&folder).map_err(|error| cannot(&args.dir, error))?;
    let folder = folder.canonicalize().map_err(|error| cannot(&args.dir, error))?;
    let there: Vec<&str> = FILES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| folder.join(name).symlink_metadata().is_ok())
        .collect();
    if !there.is_empty() {
        let verb = if there.len() == 1 { "is" } else { "are" };
        let message = format!("{} {verb} in {} already", list(&there), args.dir.display());
        return Err(Failure::new(Code::CannotCreate, message)
            .help("choose another folder: nothing was written")
            .into());
    }
    let actor = actor_of(&folder);
    for (name, template) in FILES {
        let file = folder.join(name);
        let mut made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&file)
            .map_err(|error| cannot(&file, error))?;
        let text = template.replace(PLACEHOLDER, &actor);
        made.write_all(text.as_bytes()).map_err(|error| cannot(&file, error))?;
    }
    let here = std::env::current_dir()
        .and_then(|here| here.canonicalize())
        .is_ok_and(|here| here == folder);
    print(told(&args.dir, &actor, here, Paint::stdout()))?;
    Ok(ExitCode::SUCCESS)
}

/// What was made, and the commands that run it.
fn told(dir: &Path, actor: &str, here: bool, paint: Paint) -> String {
    let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    let shown = dir.display().to_string();
    let quoted = shlex::try_quote(&shown).unwrap_or(Cow::Borrowed(&shown));
    let enter = if here {
        String::new()
    } else {
        format!("cd {quoted} && ")
    };
    format!(
        "made actor `{actor}` in {shown}: {}\n\n{}\n  {enter}outrigger up\n{}\n  {enter}outrigger send {actor} \
         --payload '{{\"name\": \"world\"}}'\n  outrigger take happy-end --wait 10s\n",
        names.join(", "),
        paint.dim("start it:"),
        paint.dim("then, in another shell:"),
    )
}

/// The folder's name, made one that an actor may have.
fn actor_of(folder: &Path) -> String {
    let name = folder
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let fitting = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            c
        } else {
            '-'
        }
    };
    let name: String = name.chars().map(fitting).collect();
    let name: String = name.trim_matches(['-', '_']).chars().take(LONGEST).collect();
    if valid_actor(&name) && !ENDS.contains(&name.as_str()) {
        name
    } else {
        "my-actor".to_owned()
    }
}

fn cannot(path: &Path, source: io::Error) -> Failure {
    Failure::new(Code::CannotCreate, format!("cannot make {}", path.display())).because(source)
}

/// What is written, by name.
const FILES: [(&str, &str); 5] = [
    ("handler.py", include_str!("../../templates/handler.py")),
    ("outrigger.yaml", include_str!("../../templates/outrigger.yaml")),
    ("test_handler.py", include_str!("../../templates/test_handler.py")),
    ("README.md", include_str!("../../templates/README.md")),
    (".gitignore", include_str!("../../templates/gitignore")),
];

/// Stands for the actor's name in the templates.
const PLACEHOLDER: &str = "my-actor";

/// An actor with the name of an end would work on what ends there.
const ENDS: [&str; 2] = ["happy-end", "error-end"];

const LONGEST: usize = 63;

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn an_actor_is_named_after_its_folder_as_far_as_that_can_be() {
        for (folder, actor) in [
            ("/x/my-actor", "my-actor"),
            ("/x/Clean Up.v2", "clean-up-v2"),
            ("/x/_private_", "private"),
            ("/x/\u{fc}ber", "ber"),
            ("/", "my-actor"),
            ("/x/...", "my-actor"),
            ("/x/error-end", "my-actor"),
        ] {
            assert_eq!(actor_of(Path::new(folder)), actor);
        }
        assert_eq!(actor_of(&Path::new("/").join("x".repeat(80))).len(), 63);
    }

    #[test]
    fn what_comes_next_can_be_pasted() {
        let paint = Paint::new(false);
        assert_snapshot!(told(Path::new("a b"), "a-b", false, paint), @r#"
        made actor `a-b` in a b: handler.py, outrigger.yaml, test_handler.py, README.md, .gitignore

        start it:
          cd 'a b' && outrigger up
        then, in another shell:
          cd 'a b' && outrigger send a-b --payload '{"name": "world"}'
          outrigger take happy-end --wait 10s
        "#);
        assert_snapshot!(told(Path::new("."), "here", true, paint), @r#"
        made actor `here` in .: handler.py, outrigger.yaml, test_handler.py, README.md, .gitignore

        start it:
          outrigger up
        then, in another shell:
          outrigger send here --payload '{"name": "world"}'
          outrigger take happy-end --wait 10s
        "#);
    }
}
