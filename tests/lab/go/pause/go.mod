module devplatform.test/lab/pause

go 1.26
