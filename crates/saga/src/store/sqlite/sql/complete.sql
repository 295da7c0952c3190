UPDATE pumasi_saga SET created_at = ?2, since = ?3 WHERE no = ?1
