//! What of a cluster a search should know before it leans on it.

use reqwest::{Method, StatusCode};
use serde_json::Value as Json;

use super::nodes::Body;
use super::{OpenSearchEngine, PATIENCE};
use crate::search::{Finding, Health};
use crate::{Error, Result};

impl OpenSearchEngine {
    /// Looks at the cluster's health, and at the index's mapping and settings.
    pub(super) async fn look(&self) -> Vec<Finding> {
        let asked = async {
            let health = self.get("_cluster/health").await?;
            let mapping = self.get(&format!("{}/_mapping", self.target())).await?;
            let settings = self.get(&format!("{}/_settings?flat_settings=true", self.target())).await?;
            Ok::<_, Error>((health, mapping, settings))
        };
        let texts = match asked.await {
            Ok((health, mapping, settings)) => {
                self.judge(health.as_ref(), mapping.as_ref(), settings.as_ref())
            }
            Err(error) => vec![(Health::Bad, format!("it cannot be asked about itself: {error}"))],
        };
        texts.into_iter().map(|(health, text)| Finding::new(&self.name, health, text)).collect()
    }

    /// Asks a question; `None` where there is no such thing, or the cluster does not tell this user.
    async fn get(&self, path: &str) -> Result<Option<Json>> {
        let (status, json) = self.nodes.call(Method::GET, path, &Body::None, PATIENCE).await?;
        match status {
            status if status.is_success() => Ok(Some(json)),
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Ok(None),
            status => Err(super::refused(status, &json)),
        }
    }

    fn judge(
        &self,
        health: Option<&Json>,
        mapping: Option<&Json>,
        settings: Option<&Json>,
    ) -> Vec<(Health, String)> {
        let mut texts = Vec::new();
        let mut add = |health, text: &str| texts.push((health, text.to_owned()));
        let health = health.and_then(|health| health.get("status")?.as_str());
        match health {
            Some("green") => {}
            Some("yellow") => {
                add(Health::Warning, "the cluster is yellow: some copies of shards have no node");
            }
            Some("red") => {
                add(
                    Health::Bad,
                    "the cluster is red: some shards have no node, and their documents are not found",
                );
            }
            _ => add(Health::Warning, "the cluster does not tell its health to this user"),
        }
        let index =
            |json: Option<&Json>| json.and_then(Json::as_object).and_then(|all| all.values().next()).cloned();
        let Some(mappings) = index(mapping).and_then(|index| index.get("mappings").cloned()) else {
            add(Health::Bad, "there is no index of ours, or this user may not see it: prepare() makes it");
            return texts;
        };
        let fingerprint = mappings.get("_meta").and_then(|meta| meta.get("fingerprint")?.as_str());
        if fingerprint != Some(self.schema.fingerprint().as_str()) {
            add(Health::Bad, "the index in use was built for another schema or analyzer: build it anew");
        }
        // a document that came before its index lets the cluster guess a mapping, in which nothing is found
        let wanted = self.layout.index(&self.schema, self.shards, self.replicas);
        let wanted = wanted.pointer("/mappings/properties").and_then(Json::as_object).into_iter().flatten();
        let kind = |field: &Json| field.get("type").cloned();
        let wrong = wanted.filter(|(name, field)| {
            let found = mappings.get("properties").and_then(|fields| fields.get(name.as_str()));
            found.and_then(kind) != kind(field)
        });
        let wrong: Vec<&str> = wrong.map(|(name, _)| name.as_str()).collect();
        if !wrong.is_empty() {
            let text = format!("the index's mapping is not ours for {}: build it anew", wrong.join(", "));
            add(Health::Bad, &text);
        }
        let setting = |name: &str| {
            let settings = index(settings)?.get("settings")?.get(name)?.clone();
            Some(settings.as_str().map_or_else(|| settings.to_string(), str::to_owned))
        };
        for block in ["index.blocks.read_only_allow_delete", "index.blocks.read_only", "index.blocks.write"] {
            if setting(block).as_deref() == Some("true") {
                let text = format!("{block} is set, so that nothing can be written: is the disk full?");
                add(Health::Bad, &text);
            }
        }
        texts
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Schema, TextField};

    fn told(change: impl FnOnce(&mut Json, &mut Json, &mut Json)) -> String {
        let schema = Schema::new("posts").with_text(TextField::new("title"));
        let engine = OpenSearchEngine::new(schema, &["http://127.0.0.1:1".to_owned()]).unwrap();
        let made = engine.layout.index(&engine.schema, 1, 0);
        let mut health = json!({"status": "green"});
        let mut mapping = json!({"pumasi_posts_g1": {"mappings": made["mappings"]}});
        let mut settings = json!({"pumasi_posts_g1": {"settings": {"index.number_of_shards": "1"}}});
        change(&mut health, &mut mapping, &mut settings);
        let texts = engine.judge(Some(&health), Some(&mapping), Some(&settings));
        texts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn each_trap_of_a_cluster_is_told_and_nothing_else() {
        assert_eq!(told(|_, _, _| ()), "");
        assert!(told(|health, _, _| *health = json!({"status": "red"})).contains("red"));
        assert!(told(|_, mapping, _| *mapping = json!({})).contains("no index of ours"));
        let guessed = told(|_, mapping, _| {
            mapping["pumasi_posts_g1"]["mappings"] = json!({"properties": {"t": {"type": "keyword"}}});
        });
        assert!(guessed.contains("another schema") && guessed.contains("mapping is not ours"), "{guessed}");
        let full = told(|_, _, settings| {
            settings["pumasi_posts_g1"]["settings"]["index.blocks.read_only_allow_delete"] = json!("true");
        });
        assert!(full.contains("is the disk full"), "{full}");
    }
}
