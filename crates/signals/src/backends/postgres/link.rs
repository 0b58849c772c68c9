//! A connection: how it is made, and what has to be there before the first row.

use std::{fs, future::Future, path::Path, pin::Pin, str::FromStr, sync::Arc, time::Duration};

use tokio_postgres::{Client, Config, Error, NoTls, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use tracing::warn;

use super::{super::sqlite::quoted, copy::in_words};
use crate::config;

/// Where the table is.
pub(super) struct Target {
    server: Config,
    /// `None` where the connection is not encrypted.
    tls: Option<MakeRustlsConnect>,
    table: String,
    hypertable: bool,
}

/// A connection. What it sends and gets moves on only while something is carried over it.
pub(super) struct Link {
    client: Client,
    wire: Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>,
}

/// How long a server may take to be reached, where the URL does not say.
const CONNECT: Duration = Duration::from_secs(10);

impl Target {
    pub(super) fn new(config: &config::Postgres, folder: &Path) -> Result<Self, String> {
        // The library knows no such modes: it has the certificate verified, or does not encrypt.
        let url = config.url.expose();
        let url = ["verify-full", "verify-ca"].iter().fold(url.to_owned(), |url, mode| {
            url.replace(&format!("sslmode={mode}"), "sslmode=require")
        });
        // Its error would show the URL.
        let mut server = Config::from_str(&url).map_err(|_| {
            "the URL cannot be used: write `postgres://USER:PASSWORD@HOST/DATABASE`, with `%XX` for special characters"
                .to_owned()
        })?;
        if server.get_connect_timeout().is_none() {
            server.connect_timeout(CONNECT);
        }
        if server.get_application_name().is_none() {
            server.application_name("outrigger");
        }
        let is_encrypted = server.get_ssl_mode() == SslMode::Require;
        let authorities = config.ca.as_ref().map(|path| folder.join(path));
        let tls = is_encrypted.then(|| tls(authorities.as_deref())).transpose()?;
        Ok(Self {
            server,
            tls,
            table: config.table.clone(),
            hypertable: config.hypertable,
        })
    }

    /// Connects, and makes the table where it is missing.
    pub(super) async fn connect(&self) -> Result<Link, String> {
        let connected = if let Some(tls) = &self.tls {
            let connected = self.server.connect(tls.clone()).await;
            connected.map(|(client, wire)| Link::new(client, wire))
        } else {
            let connected = self.server.connect(NoTls).await;
            connected.map(|(client, wire)| Link::new(client, wire))
        };
        let mut link = connected.map_err(|error| in_words(&error))?;
        link.carry(|client| self.prepare(client)).await?;
        Ok(link)
    }

    async fn prepare(&self, client: &Client) -> Result<(), Error> {
        let table = quoted(&self.table);
        // Looked for first: who may write into a table need not be allowed to make one.
        let there = client
            .query_one("SELECT to_regclass($1::text) IS NOT NULL", &[&table])
            .await?;
        if there.get(0) {
            return Ok(());
        }
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {table}(
                 id bigint GENERATED ALWAYS AS IDENTITY, received timestamptz NOT NULL, ts timestamptz NOT NULL,
                 source text NOT NULL, type text NOT NULL, trace text, span text, parent text, data jsonb,
                 PRIMARY KEY (ts, id))"
        );
        client.batch_execute("BEGIN").await?;
        client.batch_execute(&create).await?;
        if self.hypertable {
            let sql = "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'";
            if client.query_one(sql, &[]).await?.get::<_, i64>(0) > 0 {
                let sql = "SELECT create_hypertable($1::text::regclass, 'ts', if_not_exists => true)";
                client.query_one(sql, &[&table]).await?;
            } else {
                warn!(
                    table,
                    "the server has no TimescaleDB in this database, a plain table is made"
                );
            }
        }
        client.batch_execute("COMMIT").await
    }
}

impl Link {
    fn new(client: Client, wire: impl Future<Output = Result<(), Error>> + Send + 'static) -> Self {
        Self {
            client,
            wire: Box::pin(wire),
        }
    }

    /// Carries something out, the connection moving on meanwhile.
    pub(super) async fn carry<'a, T, F>(&'a mut self, work: impl FnOnce(&'a Client) -> F) -> Result<T, String>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let Self { client, wire } = self;
        tokio::select! {
            biased;
            done = work(client) => done.map_err(|error| in_words(&error)),
            ended = wire => Err(match ended {
                Ok(()) => "the server closed the connection".to_owned(),
                Err(error) => in_words(&error),
            }),
        }
    }
}

/// Encryption that trusts the system's authorities, and those of a file.
fn tls(authorities: Option<&Path>) -> Result<MakeRustlsConnect, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = authorities {
        let trouble = |error: &dyn std::fmt::Display| format!("ca {}: {error}", path.display());
        let pem = fs::read(path).map_err(|error| trouble(&error))?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let found = found.map_err(|error| trouble(&error))?;
        if found.is_empty() {
            return Err(trouble(&"there is no certificate in it"));
        }
        for certificate in found {
            roots.add(certificate).map_err(|error| trouble(&error))?;
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
