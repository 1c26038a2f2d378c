//! The copy itself.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::error::{Error, ErrorKind, Result};
use crate::identity::Multihash;
use crate::storage::{HeadSwap, NamedObject};
use crate::transfer::check::check_chain;
use crate::transfer::options::{CopyOptions, Meter, Progress};
use crate::transfer::outcome::{CopyOutcome, Relation};
use crate::transfer::place::Place;
use crate::transfer::receive::receive;
use crate::transfer::relate::relate;

/// How often the chains are compared anew because the target moved meanwhile.
const ATTEMPTS: u32 = 5;

/// What was stored longer ago is looked at again before the head moves, because garbage collection may take what no chain has
/// named for a while.
const FRESH_FOR: Duration = Duration::from_secs(5 * 60);

/// What one copy has put into the target, over all of its attempts. On a bucket nothing makes it young again, so it is asked
/// only whether it is still there: garbage collection spares it for its grace period.
type Sent = Mutex<HashSet<NamedObject>>;

/// Brings `target` to the head of `source`, with everything that its chain names, and tells `progress` how far it is.
///
/// The target's head moves last and in one step. Dropping the future leaves the target's chain as it was (or, if it was
/// about to move, moved) and what was copied so far for the next attempt.
///
/// # Errors
/// `NotFound` if the source does not exist or lacks something that its chain names; `Corrupt` if bytes do not have their
/// hash or size; `InvalidEvent` if the chain breaks a rule; `Conflict` if the target keeps moving; otherwise what reading the
/// source and writing the target fail with, after as many attempts as [`CopyOptions::retry`] says.
pub async fn copy(
    source: &Place,
    target: &Place,
    options: &CopyOptions,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<CopyOutcome> {
    let (meter, sent) = (Meter::new(progress), Sent::default());
    for attempted in 1..=ATTEMPTS {
        meter.restart();
        if let Some(outcome) = attempt(source, target, options, &meter, &sent).await? {
            return Ok(outcome);
        }
        options.retry.pause(attempted).await;
    }
    let message = "others write to the target all the time; try again when they are done";
    Err(Error::new(ErrorKind::Conflict, message).retryable())
}

/// One attempt; `None` if the target moved meanwhile, or so much time went by that another look is due.
async fn attempt(
    source: &Place,
    target: &Place,
    options: &CopyOptions,
    meter: &Meter<'_>,
    sent: &Sent,
) -> Result<Option<CopyOutcome>> {
    let (started, copied_before) = (Instant::now(), meter.stats().objects);
    let retry = &options.retry;
    let head = retry.run(|| source.head()).await?;
    let head = head.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such dataset at the source"))?;
    let from = retry.run(|| target.head()).await?;
    if from == Some(head) {
        return Ok(Some(CopyOutcome::UpToDate { head }));
    }
    let (relation, mut incoming) = relate((source, head), (target, from), options, meter).await?;
    match relation {
        Relation::New | Relation::Ahead { .. } => {}
        Relation::Behind { .. } | Relation::Diverged { .. } if options.force => {}
        Relation::Equal => return Ok(Some(CopyOutcome::UpToDate { head })),
        Relation::Behind { .. } | Relation::Diverged { .. } | Relation::Unrelated => {
            return Ok(Some(CopyOutcome::Refused { relation }));
        }
    }
    incoming.store(target, retry).await?;
    if options.validate {
        let continued = from.filter(|_| matches!(relation, Relation::Ahead { .. }));
        validate(source, target, continued, head).await?;
    }
    let blocks = incoming.blocks;
    let objects = incoming.into_objects();
    meter.update(|progress, stats| {
        stats.blocks = blocks;
        progress.blocks_total = progress.blocks;
        progress.objects_total = objects.len() as u64;
        progress.bytes_total = objects.iter().map(|object| object.size).fold(0, u64::saturating_add);
    });
    stream::iter(objects)
        .map(|object| async move { copy_object(source, target, &object, options, meter, sent).await })
        .buffer_unordered(options.parallel.max(1))
        .try_collect::<()>()
        .await?;
    if started.elapsed() > FRESH_FOR && meter.stats().objects > copied_before {
        return Ok(None);
    }
    if let (None, Some(alias), Place::Stored(storage)) = (from, &options.alias, target) {
        // The name comes first, so that nobody sees the dataset without it.
        storage.set_alias(alias).await?;
    }
    match retry.run(|| target.swap_head(from, head, options.force)).await? {
        HeadSwap::Swapped => Ok(Some(CopyOutcome::Copied {
            relation,
            from,
            head,
            stats: meter.stats(),
        })),
        HeadSwap::Conflict { .. } => Ok(None),
    }
}

/// Checks the rules of the chain where it can be read without the network; a node checks what is pushed to it itself.
async fn validate(source: &Place, target: &Place, from: Option<Multihash>, head: Multihash) -> Result<()> {
    let storage = match (source, target) {
        (_, Place::Stored(storage)) | (Place::Stored(storage), Place::Remote(_)) => storage,
        (Place::Remote(_), Place::Remote(_)) => return Ok(()),
    };
    check_chain(storage, from, head, |_| {}).await.map(drop)
}

async fn copy_object(
    source: &Place,
    target: &Place,
    object: &NamedObject,
    options: &CopyOptions,
    meter: &Meter<'_>,
    sent: &Sent,
) -> Result<()> {
    let is_sent = sent.lock().unwrap_or_else(PoisonError::into_inner).contains(object);
    let is_held = options.retry.run(|| async {
        match is_sent {
            true => target.still_has(object).await,
            false => target.holds(object).await,
        }
    });
    if is_held.await? {
        meter.update(|progress, stats| {
            progress.objects += 1;
            progress.bytes += object.size;
            stats.objects_skipped += 1;
        });
        return Ok(());
    }
    match target {
        Place::Stored(storage) => receive(source, storage, object, options, meter).await?,
        Place::Remote(remote) => {
            let send = || async {
                let bytes = source.open_object(object, 0).await?;
                meter.update(|_, stats| stats.bytes += object.size);
                remote.put_object(object, bytes).await
            };
            options.retry.run(send).await?;
            meter.update(|progress, _| progress.bytes += object.size);
        }
    }
    sent.lock().unwrap_or_else(PoisonError::into_inner).insert(*object);
    meter.update(|progress, stats| {
        progress.objects += 1;
        stats.objects += 1;
    });
    Ok(())
}
