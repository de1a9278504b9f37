//! What a configuration says about encryption.

use std::path::PathBuf;

/// Defines an enum of words: each variant is written as one word in a connection string.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// The word for it in a connection string.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The variant that a word stands for.
            pub(crate) fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }

            /// All words, for messages.
            pub(crate) const WORDS: &'static [&'static str] = &[$($word),*];
        }
    };
}
pub(super) use words;

words! {
    /// Whether a connection over TCP is encrypted, and what the server has to prove. Unix sockets never are.
    SslMode {
        /// Never encrypted.
        Disable = "disable",
        /// Not encrypted unless the server refuses that.
        Allow = "allow",
        /// Encrypted if the server can; nothing is proved.
        #[default]
        Prefer = "prefer",
        /// Encrypted. With root certificates configured it is the same as `verify-ca`, as libpq has it.
        Require = "require",
        /// Encrypted, and the server's certificate comes from a trusted authority.
        VerifyCa = "verify-ca",
        /// Encrypted, and the certificate is trusted and made for this host.
        VerifyFull = "verify-full",
    }
}

words! {
    /// Whether SCRAM ties the password's proof to the TLS session, which keeps a man in the middle out.
    ChannelBinding {
        /// Never.
        Disable = "disable",
        /// When the server offers it.
        #[default]
        Prefer = "prefer",
        /// Always; a server that cannot is refused.
        Require = "require",
    }
}

words! {
    /// How encryption begins.
    SslNegotiation {
        /// The server is asked first whether it can.
        #[default]
        Postgres = "postgres",
        /// At once, which saves a round trip: PostgreSQL 17 or newer, or a proxy that speaks TLS.
        Direct = "direct",
    }
}

words! {
    /// A version of TLS.
    TlsVersion {
        /// TLS 1.2.
        #[default]
        Tls12 = "TLSv1.2",
        /// TLS 1.3.
        Tls13 = "TLSv1.3",
    }
}

/// Who may vouch for a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RootCerts {
    /// The authorities that the system trusts; `sslrootcert=system`.
    System,
    /// The certificates in a PEM file.
    File(PathBuf),
}

/// A certificate of the client and its private key, both PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientCert {
    /// The certificate, followed by those of intermediate authorities.
    pub cert: PathBuf,
    /// The key, not encrypted. Nobody but its owner (and the group, if root owns it) may be able to read it.
    pub key: PathBuf,
}

/// How connections over TCP are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsConfig {
    /// Whether, and what the server has to prove.
    pub mode: SslMode,
    /// How encryption begins.
    pub negotiation: SslNegotiation,
    /// Who may vouch for the server.
    pub roots: Option<RootCerts>,
    /// A PEM file of revoked certificates.
    pub revoked: Option<PathBuf>,
    /// What the client shows to a server that asks who it is.
    pub client: Option<ClientCert>,
    /// Whether the server is told the host's name (SNI).
    pub sni: bool,
    /// The oldest version of TLS.
    pub min_version: TlsVersion,
    /// The newest version of TLS.
    pub max_version: TlsVersion,
}

impl Default for TlsConfig {
    /// `sslmode=prefer` with SNI, TLS 1.2 or 1.3.
    fn default() -> Self {
        Self {
            mode: SslMode::default(),
            negotiation: SslNegotiation::default(),
            roots: None,
            revoked: None,
            client: None,
            sni: true,
            min_version: TlsVersion::Tls12,
            max_version: TlsVersion::Tls13,
        }
    }
}
