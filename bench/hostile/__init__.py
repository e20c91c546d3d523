"""How long a good object waits beside hostile ones of another namespace, compared with beside nobody.

One operator on etcd and kube-apiserver alone. By turns good objects are created, one at a time, beside nobody, beside
as many objects as are asked for that are well, and beside as many that are hostile: hubs that are slow, torn, garbled
and overloaded, pods whose words and logs are as long and as hard to read as they may be and change again and again,
pods that never end their answer, and an emoji in each spec. Printed is how long it takes until the status of a good
object stands.
"""
