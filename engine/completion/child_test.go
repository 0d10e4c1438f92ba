package completion

const childEnv = "RWKV_TEST_CACHE_FOLDER"

func child(string) {}
