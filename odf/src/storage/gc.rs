//! Garbage: objects that no block of the chain names.
//!
//! Commits that failed or lost a race leave some, and so do rewritten histories. An object is removed only if it has been
//! there for longer than a grace period: a writer puts objects first and moves the head to blocks that name them a moment
//! later. A writer that finds an old object already there makes it young again, and the age is looked at a last time before
//! an object goes. What cannot be understood is left alone and reported.
//!
//! Files that rows link to lie among the slices and are named by values of columns, which are read if there are such columns.

mod links;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::ErrorKind as IoErrorKind;
use std::pin::pin;

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta, ObjectStoreExt};
use serde::Serialize;

use crate::chain::walk_back;
use crate::codec::EncodedBlock;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Multihash;
use crate::metadata::{DataSlice, MetadataEvent};
use crate::storage::dataset::{DatasetStorage, blocking};
use crate::storage::gc::links::Links;
use crate::storage::layout::{Content, FOLDERS, ObjectKind};
use crate::storage::remote;

/// The shortest grace period: a writer that finds an object younger than this does not make it young again.
pub const MIN_GRACE: TimeDelta = TimeDelta::hours(1);

/// What the names of files start with that are being written.
const PENDING_PREFIX: &str = ".pending-";

/// Files of Jetway that are nobody's garbage.
const OWN_FOLDER: &str = "cache";

/// What is garbage, and whether it goes.
#[derive(Debug, Clone, Copy)]
pub struct GarbageOptions {
    /// The current time.
    pub now: DateTime<Utc>,
    /// How long an object must have been there, at least [`MIN_GRACE`].
    pub grace: TimeDelta,
    /// Whether garbage is only reported.
    pub dry_run: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GarbageReport {
    /// The newest block that was looked at.
    pub head: Multihash,
    /// What no block names; removed unless that was not asked for.
    pub garbage: Vec<Garbage>,
    /// Objects that no block names, but that may be of a commit under way.
    pub too_young: u64,
    /// What was left alone because it could not be understood.
    pub left_alone: Vec<LeftAlone>,
}

/// An object that no block names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Garbage {
    /// Where it is in the dataset's folder.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// When it was put there.
    pub last_modified: DateTime<Utc>,
}

/// Something that was left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftAlone {
    /// Where it is in the dataset's folder.
    pub path: String,
    /// Why.
    pub reason: String,
}

impl GarbageReport {
    /// Bytes of all garbage.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.garbage.iter().map(|object| object.size).sum()
    }
}

impl DatasetStorage {
    /// Finds objects that no block of the chain names and, unless it is a dry run, removes them.
    ///
    /// # Errors
    /// `ReadOnly` unless it is a dry run; `Unsupported` if the grace period is too short; `NotFound` if the dataset does not exist; what reading the chain fails
    /// with: in a chain with holes everything may be needed; `Io`, `Storage`.
    pub async fn collect_garbage(&self, options: &GarbageOptions) -> Result<GarbageReport> {
        if !options.dry_run {
            self.repository.check_writable()?;
        }
        if options.grace < MIN_GRACE {
            let message = "garbage must be left for an hour at least, because it may be of a commit under way";
            return Err(Error::unsupported(message));
        }
        let mut named = Named::default();
        let mut head = named.read(self, None).await?;
        let listed = self.listed(options).await?;
        let mut report = GarbageReport {
            head,
            garbage: Vec::new(),
            too_young: 0,
            left_alone: listed.left_alone,
        };
        let young = listed.young.iter().filter(|object| !named.objects.contains(object));
        report.too_young = young.count() as u64;
        let mut old = listed.old;
        old.retain(|object, _| !named.objects.contains(object));
        self.spare_links(&named, &mut old, &mut report.left_alone).await;
        report.garbage = garbage(&old, listed.pending);
        if !options.dry_run && !report.garbage.is_empty() {
            // What was committed while everything was listed and read.
            head = named.read(self, Some(head)).await?;
            old.retain(|object, _| !named.objects.contains(object));
            self.spare_links(&named, &mut old, &mut report.left_alone).await;
            let pending: Vec<Garbage> = report.garbage.into_iter().filter(Garbage::is_pending).collect();
            report.garbage = self.remove(garbage(&old, pending), options).await?;
            let before = named.objects.len();
            report.head = named.read(self, Some(head)).await?;
            if named.objects.len() > before {
                named.check(&report.garbage)?;
            }
        }
        Ok(report)
    }

    /// Everything in the dataset's folder, sorted into what may be garbage and what may not.
    async fn listed(&self, options: &GarbageOptions) -> Result<Listed> {
        let folder = Path::from(self.id.to_multibase());
        let mut objects = self.store().list(Some(&folder));
        let failed = |error| remote::store_error("the dataset's folder cannot be listed", &folder, error);
        let mut listed = Listed::default();
        let before = options.now - options.grace;
        while let Some(object) = objects.try_next().await.map_err(failed)? {
            let Some(parts) = object.location.prefix_match(&folder) else {
                continue;
            };
            let parts: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
            listed.add(&parts, &object, before);
        }
        Ok(listed)
    }

    /// Takes out what rows link to. If that cannot be found out, nothing among the slices is garbage.
    async fn spare_links(&self, named: &Named, old: &mut Old, left_alone: &mut Vec<LeftAlone>) {
        let is_data = |object: &Object| object.0 == Content::Object(ObjectKind::Data);
        if !named.links.is_any() || !old.keys().any(is_data) {
            return;
        }
        for slice in &named.slices {
            let spare = |hash: Multihash| {
                old.remove(&(Content::Object(ObjectKind::Data), hash));
            };
            if let Err(error) = named.links.read(self, slice, spare).await {
                left_alone.push(LeftAlone {
                    path: format!("data/{}", slice.physical_hash),
                    reason: format!("its links cannot be read, so nothing in data/ is removed: {error}"),
                });
                old.retain(|object, _| !is_data(object));
                return;
            }
        }
    }

    /// Removes what is still old; gives what was removed.
    async fn remove(&self, garbage: Vec<Garbage>, options: &GarbageOptions) -> Result<Vec<Garbage>> {
        let mut removed = Vec::with_capacity(garbage.len());
        for object in garbage {
            let folder = Path::from(self.id.to_multibase());
            let path = Path::from_iter(folder.parts().chain(Path::from(object.path.as_str()).parts()));
            let failed = |error| remote::store_error("an object cannot be removed", &path, error);
            match self.store().head(&path).await {
                Ok(meta) if meta.last_modified <= options.now - options.grace => {}
                Ok(_) | Err(StoreError::NotFound { .. }) => continue,
                Err(error) => return Err(failed(error)),
            }
            if object.is_pending() && !self.is_abandoned(&path).await? {
                continue;
            }
            match self.store().delete(&path).await {
                Ok(()) => removed.push(object),
                Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(removed)
    }

    /// Whether a pending file is there and no living process holds it.
    async fn is_abandoned(&self, path: &Path) -> Result<bool> {
        let Some(local) = self.repository.local() else {
            return Ok(true);
        };
        let file = local.root().join(path.as_ref());
        blocking(move || match File::open(file) {
            Ok(file) => Ok(file.try_lock().is_ok()),
            // Whoever wrote it was done meanwhile.
            Err(error) if error.kind() == IoErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        })
        .await
    }
}

/// Something that is named by its hash.
type Object = (Content, Multihash);

type Old = HashMap<Object, ObjectMeta>;

/// What is in the dataset's folder.
#[derive(Default)]
struct Listed {
    old: Old,
    young: Vec<Object>,
    pending: Vec<Garbage>,
    left_alone: Vec<LeftAlone>,
}

impl Listed {
    fn add(&mut self, parts: &[String], object: &ObjectMeta, before: DateTime<Utc>) {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let is_old = object.last_modified <= before;
        let content = |folder: &str| {
            [
                Content::Block,
                Content::Object(ObjectKind::Data),
                Content::Object(ObjectKind::Checkpoint),
            ]
            .into_iter()
            .find(|content| content.folder() == folder)
        };
        let reason = match parts.as_slice() {
            [.., name] if name.starts_with(PENDING_PREFIX) => {
                if is_old {
                    self.pending.push(Garbage {
                        path: parts.join("/"),
                        size: object.size,
                        last_modified: object.last_modified,
                    });
                }
                return;
            }
            // The lock, and what others hide.
            [name] if name.starts_with('.') => return,
            [OWN_FOLDER, ..] | ["refs" | "info", _] => return,
            [folder, name] if let Some(content) = content(folder) => match name.parse::<Multihash>() {
                Ok(hash) if hash.to_string() == *name => {
                    if is_old {
                        self.old.insert((content, hash), object.clone());
                    } else {
                        self.young.push((content, hash));
                    }
                    return;
                }
                _ => "its name is not a hash",
            },
            [folder, ..] if FOLDERS.contains(folder) => "nothing belongs there",
            _ => "it is no part of a dataset",
        };
        self.left_alone.push(LeftAlone {
            path: parts.join("/"),
            reason: reason.to_owned(),
        });
    }
}

/// Garbage by path.
fn garbage(old: &Old, pending: Vec<Garbage>) -> Vec<Garbage> {
    let objects = old.iter().map(|((content, hash), meta)| Garbage {
        path: format!("{}/{hash}", content.folder()),
        size: meta.size,
        last_modified: meta.last_modified,
    });
    let mut garbage: Vec<Garbage> = objects.chain(pending).collect();
    garbage.sort_by(|left, right| left.path.cmp(&right.path));
    garbage
}

impl Garbage {
    fn is_pending(&self) -> bool {
        self.path
            .rsplit('/')
            .next()
            .is_some_and(|name| name.starts_with(PENDING_PREFIX))
    }
}

/// What a chain names.
#[derive(Default)]
struct Named {
    objects: HashSet<Object>,
    slices: Vec<DataSlice>,
    links: Links,
}

impl Named {
    /// Adds what the blocks up to the head name, without those up to `until` if history goes on from there; gives the head.
    async fn read(&mut self, storage: &DatasetStorage, until: Option<Multihash>) -> Result<Multihash> {
        let Some(head) = storage.head().await? else {
            let message = "the dataset does not exist: it has no head";
            return Err(Error::new(ErrorKind::NotFound, message).with_context("dataset", storage.id()));
        };
        let mut blocks = pin!(walk_back(storage, head, None));
        while let Some(block) = blocks.try_next().await? {
            if Some(block.hash) == until {
                break;
            }
            self.add(&block);
        }
        Ok(head)
    }

    fn add(&mut self, block: &EncodedBlock) {
        self.objects.insert((Content::Block, block.hash));
        let (data, checkpoints) = match &block.block.event {
            MetadataEvent::AddData(event) => (&event.new_data, [event.prev_checkpoint, hash(&event.new_checkpoint)]),
            MetadataEvent::ExecuteTransform(event) => {
                (&event.new_data, [event.prev_checkpoint, hash(&event.new_checkpoint)])
            }
            MetadataEvent::SetDataSchema(event) => return self.links.add(event),
            _ => return,
        };
        let checkpoints = checkpoints.into_iter().flatten();
        self.objects
            .extend(checkpoints.map(|hash| (Content::Object(ObjectKind::Checkpoint), hash)));
        if let Some(slice) = data {
            self.objects
                .insert((Content::Object(ObjectKind::Data), slice.physical_hash));
            self.slices.push(slice.clone());
        }
    }

    /// # Errors
    /// `Corrupt` if something was removed that is named now: its writer must have found it at the very last moment.
    fn check(&self, removed: &[Garbage]) -> Result<()> {
        let named = |garbage: &&Garbage| {
            let mut objects = self.objects.iter();
            objects.any(|(content, hash)| garbage.path == format!("{}/{hash}", content.folder()))
        };
        match removed.iter().find(named) {
            None => Ok(()),
            Some(garbage) => {
                let message = "a commit named an object while it was removed as garbage; put it back from a copy, or write the rows again";
                Err(Error::new(ErrorKind::Corrupt, message).with_context("path", &garbage.path))
            }
        }
    }
}

fn hash(checkpoint: &Option<crate::metadata::Checkpoint>) -> Option<Multihash> {
    checkpoint.as_ref().map(|checkpoint| checkpoint.physical_hash)
}
