//! Fetching one file.

use std::io;
use std::time::Duration;

use reqwest::Response;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::contents::{BEGINNING, media_type};
use super::folder::Part;
use super::{Folder, Limits};
use crate::store::media::PendingMedia;
use crate::store::{Store, StoreError};
use crate::whatsapp::answer::GraphError;
use crate::whatsapp::graph::Graph;

/// How long nothing may come of a file.
const SILENCE: Duration = Duration::from_secs(15);

/// What is needed to fetch a file.
#[derive(Clone, Debug)]
pub(super) struct Downloads {
    pub(super) store: Store,
    pub(super) graph: Graph,
    pub(super) folder: Folder,
    pub(super) limits: Limits,
}

/// A file that is in its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Downloaded {
    pub(super) mime_type: &'static str,
    pub(super) size: u64,
}

/// Why a file was not fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDownloaded {
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the file cannot be written: {0}")]
    Folder(#[from] io::Error),
    #[error("the file is larger than MEDIA_FILE_MB")]
    TooLarge,
    #[error("all files together have reached MEDIA_FOLDER_MB")]
    FolderFull,
    #[error("the file stopped coming")]
    Silence,
    #[error("the file is empty, cut or altered")]
    Damaged,
}

impl NotDownloaded {
    /// Whether it is this side's trouble.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Folder(_) | Self::FolderFull)
    }

    /// How long to wait at least before another attempt; `None` if none will succeed.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Graph(GraphError::Never { .. }) | Self::TooLarge => None,
            Self::Graph(GraphError::Later { retry_after, .. }) => {
                Some(retry_after.unwrap_or_default())
            }
            Self::Store(_) | Self::Folder(_) | Self::FolderFull | Self::Silence | Self::Damaged => {
                Some(Duration::ZERO)
            }
        }
    }
}

impl Downloads {
    /// Fetches a file into its place.
    pub(super) async fn fetch(&self, media: &PendingMedia) -> Result<Downloaded, NotDownloaded> {
        let info = self.graph.media_info(&media.media_id).await?;
        let announced = info.file_size.unwrap_or(0);
        if announced > self.limits.file {
            return Err(NotDownloaded::TooLarge);
        }
        let kept = u64::try_from(self.store.media_bytes().await?).unwrap_or(0);
        if kept.saturating_add(announced) > self.limits.folder {
            return Err(NotDownloaded::FolderFull);
        }
        let answer = self.graph.download(&info.url).await?;
        if answer
            .content_length()
            .is_some_and(|length| length > self.limits.file)
        {
            return Err(NotDownloaded::TooLarge);
        }
        let mut part = self.folder.begin(media.message_id, &media.owner).await?;
        let written = self.write(answer, &mut part).await?;
        let is_right = info
            .sha256
            .filter(|digest| digest.len() == 64)
            .is_none_or(|digest| digest.eq_ignore_ascii_case(&written.sha256));
        let is_whole = info.file_size.is_none_or(|size| size == written.size);
        if written.size == 0 || !is_right || !is_whole {
            return Err(NotDownloaded::Damaged);
        }
        part.finish().await?;
        Ok(Downloaded {
            mime_type: media_type(&written.beginning, &media.mime_type),
            size: written.size,
        })
    }

    async fn write(&self, mut answer: Response, part: &mut Part) -> Result<Written, NotDownloaded> {
        let mut digest = Sha256::new();
        let mut written = Written::default();
        loop {
            let piece = timeout(SILENCE, answer.chunk());
            let piece = piece.await.map_err(|_| NotDownloaded::Silence)?;
            let Some(piece) = piece.map_err(GraphError::no_answer)? else {
                written.sha256 = hex::encode(digest.finalize());
                return Ok(written);
            };
            written.size += piece.len() as u64;
            if written.size > self.limits.file {
                return Err(NotDownloaded::TooLarge);
            }
            let missing = BEGINNING.saturating_sub(written.beginning.len());
            written.beginning.extend(piece.iter().take(missing));
            digest.update(&piece);
            part.write(&piece).await?;
        }
    }
}

/// What was written of a file.
#[derive(Debug, Default)]
struct Written {
    size: u64,
    sha256: String,
    beginning: Vec<u8>,
}
