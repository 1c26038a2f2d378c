//! What may be copied over what.

use futures::future::join_all;
use jetway_odf::ErrorKind;
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::{DatasetAlias, Multihash};
use jetway_odf::storage::{DatasetStorage, HeadSwap};
use jetway_odf::transfer::{CopyOptions, CopyOutcome, Place, Relation};

use super::{lenient, memory, moved, run, strict};
use crate::storage::blocks;

/// Blocks after `prev`, as many as `texts`.
async fn extend(dataset: &DatasetStorage, prev: &EncodedBlock, texts: &[&str]) -> Vec<EncodedBlock> {
    let mut chain = vec![prev.clone()];
    for text in texts {
        let block = blocks::info(chain.last().unwrap(), text);
        let _committed = blocks::commit(dataset, chain.last().unwrap(), &block).await;
        chain.push(block);
    }
    chain
}

async fn refused(source: &Place, target: &Place, options: &CopyOptions) -> Relation {
    match run(source, target, options).await.unwrap() {
        CopyOutcome::Refused { relation } => relation,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_copy_goes_forward_and_never_takes_blocks_away_unless_forced() {
    let (left, right) = (memory().await, memory().await);
    let (dataset, seed) = blocks::create(&left).await;
    let twin = right.dataset(*dataset.id());
    let (source, target) = (Place::Stored(dataset.clone()), Place::Stored(twin.clone()));
    let alias: DatasetAlias = "alice/trades".parse().unwrap();
    let options = CopyOptions {
        alias: Some(alias.clone()),
        ..strict()
    };
    let _stats = moved(&run(&source, &target, &options).await.unwrap());
    assert_eq!(twin.alias().await.unwrap(), Some(alias));

    let ours = extend(&dataset, &seed, &["1", "2", "3"]).await;
    let outcome = run(&source, &target, &strict()).await.unwrap();
    let CopyOutcome::Copied {
        relation,
        from,
        head,
        stats,
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(relation, Relation::Ahead { blocks: 3 });
    assert_eq!((from, head, stats.blocks), (Some(seed.hash), ours[3].hash, 3));

    let theirs = extend(&twin, &ours[3], &["4"]).await;
    assert_eq!(
        refused(&source, &target, &strict()).await,
        Relation::Behind { blocks: 1 }
    );
    let more = extend(&dataset, &ours[3], &["other 4", "other 5"]).await;
    let diverged = Relation::Diverged {
        common: ours[3].hash,
        source_blocks: 2,
        target_blocks: 1,
    };
    assert_eq!(refused(&source, &target, &strict()).await, diverged);
    assert_eq!(twin.head().await.unwrap(), Some(theirs[1].hash));

    let force = CopyOptions {
        force: true,
        ..strict()
    };
    let outcome = run(&source, &target, &force).await.unwrap();
    assert!(matches!(outcome, CopyOutcome::Copied { relation, .. } if relation == diverged));
    assert_eq!(twin.head().await.unwrap(), Some(more[2].hash));
    assert_eq!(blocks::chain(&twin).await.len(), 6);

    // Back to a shorter chain.
    assert_eq!(
        dataset
            .compare_and_swap_head(Some(more[2].hash), seed.hash)
            .await
            .unwrap(),
        HeadSwap::Swapped
    );
    assert_eq!(
        refused(&source, &target, &strict()).await,
        Relation::Behind { blocks: 5 }
    );
    let _stats = moved(&run(&source, &target, &force).await.unwrap());
    assert_eq!(twin.head().await.unwrap(), Some(seed.hash));
}

#[tokio::test]
async fn another_dataset_is_never_overwritten() {
    let (left, right) = (memory().await, memory().await);
    let (one, _) = blocks::create(&left).await;
    let (other, seed) = blocks::create(&right).await;
    let force = CopyOptions {
        force: true,
        ..strict()
    };
    let (source, target) = (Place::Stored(one.clone()), Place::Stored(other.clone()));
    assert_eq!(refused(&source, &target, &force).await, Relation::Unrelated);
    assert_eq!(other.head().await.unwrap(), Some(seed.hash));
    // Nor does a dataset get the chain of another one when there is none yet.
    let error = run(&source, &Place::Stored(right.dataset(blocks::new_id())), &force)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let error = run(&Place::Stored(left.dataset(blocks::new_id())), &target, &force)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn chains_that_break_a_rule_are_refused() {
    let (left, right) = (memory().await, memory().await);
    // Rows without a schema.
    let (dataset, _) = super::with_object(&left, blocks::random_bytes(100)).await;
    let twin = right.dataset(*dataset.id());
    let (source, target) = (Place::Stored(dataset), Place::Stored(twin.clone()));
    let error = run(&source, &target, &strict()).await.unwrap_err();
    assert_eq!(error.rule(), Some("D5"), "{error}");
    assert_eq!(twin.head().await.unwrap(), None);
    assert_eq!(moved(&run(&source, &target, &lenient()).await.unwrap()).objects, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_copies_at_the_same_time_one_wins_and_the_other_sees_it() {
    let target = memory().await;
    let (left, right) = (memory().await, memory().await);
    let (dataset, seed) = blocks::create(&left).await;
    let id = *dataset.id();
    let twin = right.create(id, None, std::slice::from_ref(&seed)).await.unwrap();
    let goal = target.create(id, None, std::slice::from_ref(&seed)).await.unwrap();
    let ours = extend(&dataset, &seed, &["left"]).await;
    let theirs = extend(&twin, &seed, &["right"]).await;
    let copies = [dataset, twin].map(|source| {
        let goal = goal.clone();
        tokio::spawn(async move {
            run(&Place::Stored(source), &Place::Stored(goal), &strict())
                .await
                .unwrap()
        })
    });
    let outcomes: Vec<_> = join_all(copies).await.into_iter().map(Result::unwrap).collect();
    let heads: Vec<Multihash> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            CopyOutcome::Copied { head, .. } => Some(*head),
            _ => None,
        })
        .collect();
    assert_eq!(goal.head().await.unwrap(), heads.first().copied(), "{outcomes:?}");
    assert!(heads == [ours[1].hash] || heads == [theirs[1].hash], "{outcomes:?}");
    assert!(outcomes.iter().any(|outcome| matches!(
        outcome,
        CopyOutcome::Refused {
            relation: Relation::Diverged {
                source_blocks: 1,
                target_blocks: 1,
                ..
            }
        }
    )));
}
