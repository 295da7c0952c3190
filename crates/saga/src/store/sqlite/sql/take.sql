UPDATE pumasi_saga SET epoch = epoch + 1, holder = ?2, wake = NULL WHERE no IN (SELECT value FROM json_each(?1))
