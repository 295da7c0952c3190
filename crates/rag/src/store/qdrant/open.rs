//! Opening: the collection, its indexes, and which vectors it holds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use qdrant_client::Qdrant;
use qdrant_client::qdrant::quantization_config::Quantization as Quantized;
use qdrant_client::qdrant::{
    CreateCollection, CreateFieldIndexCollection, Distance, FieldType, Filter, HnswConfigDiff,
    IntegerIndexParams, KeywordIndexParams, Memory, PayloadIndexParams, QuantizationConfig, QuantizationType,
    ScalarQuantization, SparseVectorConfig, SparseVectorParams, VectorParams, VectorParamsMap, VectorsConfig,
    payload_index_params::IndexParams, vectors_config,
};

use super::condition::keyword;
use super::error::failed;
use super::payload::{EMBEDDING, Members, Point, WORDS, kind, point, point_id, text, whole};
use super::wire::Wire;
use super::{QdrantOptions, QdrantStore, Quantization, Shared, fields};
use crate::document::Tenant;
use crate::{Error, ErrorKind, Result, Space};

/// The most dimensions that Qdrant keeps of a vector.
const MAX_DIMENSIONS: usize = 65_536;

/// How points are laid out.
const LAYOUT: u64 = 1;

const WHAT: &str = "opening the knowledge";

impl QdrantStore {
    /// Opens the knowledge in the server at `url` (of its gRPC interface, `http://localhost:6334`), making the collection if there is none,
    /// for the vectors of `space`, and makes a handle of `tenant`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the collection holds vectors of another space, or for a URL that is none; `Unsupported` if the server is older
    /// than 1.16, or a newer version of this crate has changed the layout; `Unavailable`, `Unauthorized`, `Timeout` or `Storage` if
    /// the server failed.
    pub async fn open(url: &str, space: Space, tenant: Tenant) -> Result<Self> {
        Self::open_with(url, space, tenant, QdrantOptions::new()).await
    }

    /// Opens it with options of your own; otherwise as [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_with(url: &str, space: Space, tenant: Tenant, options: QdrantOptions) -> Result<Self> {
        if !(1..=MAX_DIMENSIONS).contains(&space.dimensions) {
            let dimensions = space.dimensions;
            let message = format!(
                "vectors of {dimensions} numbers do not fit Qdrant, which takes up to {MAX_DIMENSIONS}"
            );
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let mut config = Qdrant::from_url(url)
            .timeout(options.timeout)
            .connect_timeout(options.connect_timeout)
            .keep_alive_while_idle()
            .skip_compatibility_check();
        config.api_key.clone_from(&options.api_key);
        let client = config.build().map_err(|error| failed(WHAT, &error))?;
        let wire = Wire { client, url: url.to_owned(), collection: options.collection.clone() };
        wire.recent().await?;
        wire.make(&space, &options).await?;
        wire.hold(&space).await?;
        let shared = Shared {
            wire: Arc::new(wire),
            space,
            options,
            holder: uuid::Uuid::now_v7().to_string(),
            turns: Mutex::default(),
            frequencies: Mutex::default(),
            ids: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared), tenant })
    }
}

impl Wire {
    /// Checks that the server knows updates with a condition: an older one would not say that it does not.
    async fn recent(&self) -> Result<()> {
        let version = self.client.health_check().await.map_err(|error| failed(WHAT, &error))?.version;
        let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
        if (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()) >= (1, 16) {
            return Ok(());
        }
        let shown: String = version.chars().filter(char::is_ascii_graphic).take(20).collect();
        let message = format!("Qdrant {shown} is older than 1.16, and cannot update a point on a condition");
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    /// Makes the collection if there is none, and its indexes, which are made again in vain.
    async fn make(&self, space: &Space, options: &QdrantOptions) -> Result<()> {
        let there = async || {
            self.client.collection_exists(&self.collection).await.map_err(|error| failed(WHAT, &error))
        };
        if !there().await? {
            let made = self.client.create_collection(self.collection(space, options)).await;
            // another process may have been faster
            if let Err(error) = made
                && !there().await?
            {
                return Err(failed(WHAT, &error));
            }
        }
        let keyword = |is_tenant| {
            IndexParams::KeywordIndexParams(KeywordIndexParams {
                is_tenant: Some(is_tenant),
                ..KeywordIndexParams::default()
            })
        };
        let integer = |lookup, range| {
            IndexParams::IntegerIndexParams(IntegerIndexParams {
                lookup: Some(lookup),
                range: Some(range),
                ..IntegerIndexParams::default()
            })
        };
        for (field, of, params) in [
            ("tenant", FieldType::Keyword, keyword(true)),
            ("kind", FieldType::Keyword, keyword(false)),
            ("document", FieldType::Keyword, keyword(false)),
            ("chunk", FieldType::Keyword, keyword(false)),
            ("stamp", FieldType::Keyword, keyword(false)),
            ("has", FieldType::Keyword, keyword(false)),
            ("is", FieldType::Keyword, keyword(false)),
            ("terms", FieldType::Integer, integer(true, false)),
            ("from", FieldType::Integer, integer(true, true)),
            ("to", FieldType::Integer, integer(true, true)),
        ] {
            self.index(field.to_owned(), of, Some(params)).await?;
        }
        for field in &options.ranges {
            for kind in ['n', 't'] {
                for side in ["low", "high"] {
                    let name = format!("{side}.{}", fields::ordered(kind, field.as_str()));
                    self.index(name, FieldType::Float, None).await?;
                }
            }
        }
        Ok(())
    }

    async fn index(&self, field: String, of: FieldType, params: Option<IndexParams>) -> Result<()> {
        let request = CreateFieldIndexCollection {
            collection_name: self.collection.clone(),
            wait: Some(true),
            field_name: field,
            field_type: Some(of.into()),
            field_index_params: params.map(|params| PayloadIndexParams { index_params: Some(params) }),
            ..CreateFieldIndexCollection::default()
        };
        self.client.create_field_index(request).await.map_err(|error| failed(WHAT, &error)).map(drop)
    }

    fn collection(&self, space: &Space, options: &QdrantOptions) -> CreateCollection {
        let packed = match options.quantization {
            Quantization::None => None,
            Quantization::Int8 => Some(QuantizationConfig {
                quantization: Some(Quantized::Scalar(ScalarQuantization {
                    r#type: QuantizationType::Int8.into(),
                    memory: Some(Memory::Pinned.into()),
                    ..ScalarQuantization::default()
                })),
            }),
        };
        let embedding = VectorParams {
            size: space.dimensions as u64,
            distance: Distance::Dot.into(),
            // a graph for each tenant beside the one for all
            hnsw_config: Some(HnswConfigDiff { payload_m: Some(16), ..HnswConfigDiff::default() }),
            quantization_config: packed,
            ..VectorParams::default()
        };
        let embeddings = VectorParamsMap { map: HashMap::from([(EMBEDDING.to_owned(), embedding)]) };
        let words = HashMap::from([(WORDS.to_owned(), SparseVectorParams::default())]);
        CreateCollection {
            collection_name: self.collection.clone(),
            vectors_config: Some(VectorsConfig {
                config: Some(vectors_config::Config::ParamsMap(embeddings)),
            }),
            sparse_vectors_config: Some(SparseVectorConfig { map: words }),
            ..CreateCollection::default()
        }
    }

    /// Writes down which vectors the collection holds, or checks that it holds these.
    async fn hold(&self, space: &Space) -> Result<()> {
        let id = point_id(kind::STORE, "", "", 0, 0);
        let held = self.get(vec![id.clone()], vec!["space", "layout"], false, WHAT).await?;
        let held = if held.is_empty() {
            let said = serde_json::to_string(space).map_err(|error| {
                Error::new(ErrorKind::InvalidInput, "the space cannot be written").with_source(error)
            })?;
            let members = Members::from([
                ("kind".to_owned(), text(kind::STORE)),
                ("space".to_owned(), text(said)),
                ("layout".to_owned(), whole(LAYOUT)),
            ]);
            // another process may be faster, and then its word holds
            let never = Filter::must([keyword("kind", "")]);
            self.put_if(point(id.clone(), members), never, WHAT).await?;
            self.get(vec![id], vec!["space", "layout"], false, WHAT).await?
        } else {
            held
        };
        let Some(held) = held.first() else {
            return Err(Error::new(ErrorKind::Storage, "the knowledge's space was not kept"));
        };
        let layout = Point(&held.payload).number("layout")?;
        if layout > LAYOUT {
            let message =
                format!("the collection has the layout {layout}, and this version knows up to {LAYOUT}");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        space.check_held(&Point(&held.payload).json("space")?)
    }
}
