//! What clients can read, and which of them is which.

/// What a client can read.
///
/// The default is what every Flight SQL client reads: string and binary views become plain strings and binaries,
/// dictionaries and run-end encoded columns become their values, list views become lists, half floats and small decimals
/// become larger ones, at any depth, and bodies are not compressed. A client that reads more says so with options of its session,
/// or with headers such as `jetway-compression: lz4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WireProfile {
    /// How message bodies are compressed.
    pub compression: Option<Compression>,
    /// Whether string and binary views stay what they are.
    pub keeps_views: bool,
    /// Whether dictionaries are sent as such.
    pub keeps_dictionaries: bool,
    /// Whether unsigned integers become signed types that hold all of their values.
    pub widens_unsigned: bool,
    /// Whether half floats, decimals of 32 and 64 bits and run ends stay what they are.
    pub keeps_exotic: bool,
    /// Whether times with a zone are sent without it, in UTC.
    pub drops_zones: bool,
    /// Whether parameters that are times are announced in milliseconds, whatever unit the statement has.
    pub binds_millis: bool,
}

/// A way to compress message bodies that Arrow IPC knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// LZ4 frames: cheap, for networks slower than about 10 Gbit/s.
    Lz4,
    /// Zstandard: smaller and dearer, for slow networks.
    Zstd,
}

impl Compression {
    /// The value of the option that means it.
    pub(crate) fn name(compression: Option<Self>) -> &'static str {
        match compression {
            None => "none",
            Some(Self::Lz4) => "lz4",
            Some(Self::Zstd) => "zstd",
        }
    }
}

/// A profile with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preset {
    /// What all Arrow libraries read.
    Plain,
    /// What the JDBC driver reads and maps to a type of SQL that holds all values.
    Jdbc,
    /// Types as the plan has them.
    Rich,
}

impl Preset {
    /// The one that suits a client, by what it calls itself. Of the libraries that Flight clients are built on, the one
    /// in Java is behind the JDBC driver, which takes unsigned integers for signed ones, gives no objects for times with a zone,
    /// and writes milliseconds into parameters of any unit; all others get the plain profile.
    pub(crate) fn of_client(client: &str) -> Self {
        if client.split_whitespace().any(|name| name.starts_with("grpc-java")) {
            Self::Jdbc
        } else {
            Self::Plain
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Jdbc => "jdbc",
            Self::Rich => "rich",
        }
    }

    fn profile(self) -> WireProfile {
        let plain = WireProfile::default();
        match self {
            Self::Plain => plain,
            Self::Jdbc => WireProfile {
                widens_unsigned: true,
                drops_zones: true,
                binds_millis: true,
                ..plain
            },
            Self::Rich => WireProfile {
                keeps_views: true,
                keeps_dictionaries: true,
                keeps_exotic: true,
                ..plain
            },
        }
    }
}

/// What a client says about its profile; what it does not say follows from who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProfileChoice {
    pub(crate) preset: Option<Preset>,
    pub(crate) compression: Option<Option<Compression>>,
    /// Whether views are kept.
    pub(crate) string_views: Option<bool>,
    /// Whether dictionaries are kept.
    pub(crate) dictionaries: Option<bool>,
    /// Whether unsigned integers are kept.
    pub(crate) unsigned: Option<bool>,
    /// Whether rare types are kept.
    pub(crate) exotic: Option<bool>,
    /// Whether zones of times are kept.
    pub(crate) zones: Option<bool>,
}

const LZ4: u32 = 1;
const ZSTD: u32 = 2;
const VIEWS: u32 = 1 << 2;
const DICTIONARIES: u32 = 1 << 3;
const WIDENED: u32 = 1 << 4;
const EXOTIC: u32 = 1 << 5;
const UTC: u32 = 1 << 6;
const MILLIS: u32 = 1 << 7;
const ALL: u32 = (1 << 8) - 1;

impl WireProfile {
    /// The profile of a client that chose something.
    pub(crate) fn for_client(client: &str, choice: &ProfileChoice) -> Self {
        let base = choice.preset.unwrap_or_else(|| Preset::of_client(client)).profile();
        Self {
            compression: choice.compression.unwrap_or(base.compression),
            keeps_views: choice.string_views.unwrap_or(base.keeps_views),
            keeps_dictionaries: choice.dictionaries.unwrap_or(base.keeps_dictionaries),
            widens_unsigned: choice.unsigned.map_or(base.widens_unsigned, |kept| !kept),
            keeps_exotic: choice.exotic.unwrap_or(base.keeps_exotic),
            drops_zones: choice.zones.map_or(base.drops_zones, |kept| !kept),
            binds_millis: base.binds_millis,
        }
    }

    /// Names and values of the options that make this profile.
    pub(crate) fn entries(self) -> [(&'static str, &'static str); 6] {
        let kept = |kept: bool, otherwise: &'static str| if kept { "keep" } else { otherwise };
        [
            ("compression", Compression::name(self.compression)),
            ("string_views", kept(self.keeps_views, "expand")),
            ("dictionaries", kept(self.keeps_dictionaries, "hydrate")),
            ("unsigned", kept(!self.widens_unsigned, "widen")),
            ("exotic", kept(self.keeps_exotic, "cast")),
            ("zones", kept(!self.drops_zones, "utc")),
        ]
    }

    pub(crate) fn to_bits(self) -> u32 {
        let flag = |set: bool, bit: u32| if set { bit } else { 0 };
        let compression = match self.compression {
            None => 0,
            Some(Compression::Lz4) => LZ4,
            Some(Compression::Zstd) => ZSTD,
        };
        compression
            | flag(self.keeps_views, VIEWS)
            | flag(self.keeps_dictionaries, DICTIONARIES)
            | flag(self.widens_unsigned, WIDENED)
            | flag(self.keeps_exotic, EXOTIC)
            | flag(self.drops_zones, UTC)
            | flag(self.binds_millis, MILLIS)
    }

    pub(crate) fn from_bits(bits: u32) -> Option<Self> {
        if bits & !ALL != 0 {
            return None;
        }
        let compression = match bits & (LZ4 | ZSTD) {
            0 => None,
            LZ4 => Some(Compression::Lz4),
            ZSTD => Some(Compression::Zstd),
            _ => return None,
        };
        Some(Self {
            compression,
            keeps_views: bits & VIEWS != 0,
            keeps_dictionaries: bits & DICTIONARIES != 0,
            widens_unsigned: bits & WIDENED != 0,
            keeps_exotic: bits & EXOTIC != 0,
            drops_zones: bits & UTC != 0,
            binds_millis: bits & MILLIS != 0,
        })
    }
}
